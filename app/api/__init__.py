"""The HTTP contract: what a request means and what is answered.

`routes/` has a file for each subject, `schemas/` the shapes of requests and answers, `openapi/` the document.
`sample_request` takes a request for samples to a job, `content_negotiation` chooses the format, `caching` makes
permanent URLs and ETags, `digit_parameter` and `picture_limits` check parameters, `forms` and `json_bodies` read
bodies, `sample_listing` and `whole_response` make answers. `state` is what the routes share, `reload` replaces the
models, and `replicas` speaks of the other processes that serve the same service.

May import `app.settings`, `app.middleware`, `app.inference`, `app.media`, `app.problems`, `app.telemetry`,
`app.malloc` and `models`.
"""
