"""The HTTP service.

    __main__, ray                    the programs: run the service, run it on Ray Serve
    write_openapi, write_reference   write the OpenAPI document, and the tables of docs
    server/           the socket and the processes
    main              the application: loads the models, starts the engine, installs routes, errors and pages
    api/              the HTTP API: what a request means, and what is answered
    settings          the `GAN_*` environment variables
    middleware/       ASGI layers around the routes: keys, CORS, access log, tracing, limits
    inference/        runs the networks on threads, off the event loop
    media/            decodes uploads, encodes images
    problems          errors as the client sees them
    telemetry/        metrics, logs, request ids
    malloc            settings of the C library's allocator
    late_imports      imports that libraries put off until a request needs them
    request_headers   the headers of a request, by name

Each entry may import those below it, except that `middleware`, `inference` and `media` do not import each other, and
neither do `telemetry`, `malloc` and `late_imports`. `app` imports `models` and `viewer`, never `training`.
"""
