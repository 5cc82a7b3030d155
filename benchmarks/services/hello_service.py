"""FastAPI's own hello with two query parameters: it shows what the framework alone costs."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/hello", response_class=PlainTextResponse)
async def hello(n: int = 1, seed: int = 0) -> str:
    """Check two parameters, and answer a constant text."""
    del n, seed
    return "hello"
