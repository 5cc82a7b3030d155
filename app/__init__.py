"""The HTTP service.

    __main__, ray, write_openapi   the programs: the service, the service on Ray Serve, the OpenAPI document
    server/       the socket and the processes
    main          the application: models and engine made at start, routes, errors, pages
    api/          what a request means and what is answered
    settings      `GAN_*` environment variables
    middleware/   ASGI layers around the routes: keys, CORS, access log, tracing, limits
    inference/    networks off the event loop
    media/        pixels in and out
    problems      errors as the client sees them
    telemetry/    metrics, logs, request ids
    malloc        settings of the C library's allocator

Each may import those below it; `middleware`, `inference` and `media` do not import each other. `app` imports `models`
and `viewer`, never `training`.
"""
