"""The HTTP service: settings, routes, batching, images, scoring uploads, pages."""
