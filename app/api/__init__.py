"""The HTTP API: what a request means, and what is answered.

`routes/` has a file for each subject, `schemas/` the shapes of requests and answers, and `openapi/` the parts of the
OpenAPI document. `sample_request` parses a request for samples into a job, `content_negotiation` chooses the format,
`caching` makes permanent URLs and ETags, `digit_parameter` and `picture_limits` check parameters, `forms` and
`json_bodies` read bodies, and `sample_listing` and `whole_response` make answers. `state` holds what the routes share,
`reload` replaces the models, and `replicas` calls the other processes of the same service.

This package may import `app.settings`, `app.middleware`, `app.inference`, `app.media`, `app.problems`, `app.telemetry`,
`app.malloc` and `models`.
"""
