"""Routes are covered by the middleware of the application that they end up in."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.instrumentation.lint.projects import PREAMBLE, found_in, marked_in, write

ASGI = "from spanmeter.instrumentation.asgi import UsageMiddleware\n"
WSGI = "from spanmeter.instrumentation.wsgi import UsageMiddleware\n"

ROUTER = """
    from fastapi import APIRouter
    from preamble import client
    router = APIRouter()
    @router.get("/")
    def answer(): client.embeddings.create()
"""
UNCOVERED_ROUTER = ROUTER.replace("create()", "create()  # !")

PROJECTS: dict[str, dict[str, str]] = {
    "two applications, one with middleware": {
        "app.py": ASGI
        + """
from fastapi import FastAPI
from preamble import client
product, admin = FastAPI(), FastAPI()
product.add_middleware(UsageMiddleware, resolve=print)
@product.post("/answer")
async def answer(): client.embeddings.create()
@admin.post("/answer")
async def answer_admin(): client.embeddings.create()  # !
"""
    },
    "a router that is included": {
        "routes.py": ROUTER,
        "app.py": ASGI
        + """
from fastapi import FastAPI
import routes
def create_app():
    app = FastAPI()
    app.include_router(routes.router, prefix="/v1")
    app.add_middleware(UsageMiddleware)
    return app
""",
    },
    "a router in two applications": {
        "routes.py": UNCOVERED_ROUTER,
        "app.py": ASGI
        + """
from fastapi import FastAPI
from routes import router
product, admin = FastAPI(), FastAPI()
product.add_middleware(UsageMiddleware)
for app in (product, admin):
    app.include_router(router)
""",
    },
    "a router in a router": {
        "routes.py": ROUTER,
        "app.py": ASGI
        + """
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from routes import router
api = APIRouter()
api.include_router(router)
app = FastAPI(middleware=[Middleware(UsageMiddleware, headers={})])
app.include_router(api)
""",
    },
    "no application has middleware": {
        "routes.py": UNCOVERED_ROUTER,
        "app.py": """
            from fastapi import FastAPI
            from routes import router
            app = FastAPI()
            app.include_router(router)
        """,
    },
    "starlette": {
        "app.py": ASGI
        + """
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from preamble import client
async def answer(request): client.embeddings.create()
async def ask(request): client.embeddings.create()
async def leave(request): client.embeddings.create()  # !
inner = Starlette(routes=[Route("/ask", ask)])
app = Starlette(
    routes=[Route("/answer", endpoint=answer), Mount("/inner", app=inner)],
    middleware=[Middleware(UsageMiddleware)],
)
other = Starlette(routes=[Route("/leave", leave)])
"""
    },
    "wrapped from outside": {
        "app.py": WSGI
        + """
from flask import Blueprint, Flask
from preamble import client
app = Flask(__name__)
other = Flask(__name__)
parts = Blueprint("parts", __name__)
app.register_blueprint(parts)
app.wsgi_app = UsageMiddleware(app.wsgi_app, headers={})
@app.route("/answer")
def answer(): client.embeddings.create()
@parts.route("/part")
def part(): client.embeddings.create()
@other.route("/other")
def leave(): client.embeddings.create()  # !
def registered(): client.embeddings.create()
app.add_url_rule("/registered", view_func=registered)
"""
    },
    "django": {
        "wsgi.py": WSGI
        + """
from django.core.wsgi import get_wsgi_application
application = UsageMiddleware(get_wsgi_application(), headers={})
""",
        "urls.py": """
            from django.urls import path
            import views
            urlpatterns = [path("answer", views.answer), path("ask", views.Ask.as_view())]
        """,
        "views.py": """
            from django.views import View
            from preamble import client
            def answer(request): client.embeddings.create()
            class Ask(View):
                def post(self, request): return self.ask()
                def ask(self): client.embeddings.create()
        """,
    },
    "django without": {
        "views.py": """
            from django.views import View
            from preamble import client
            class Ask(View):
                def post(self, request): return self.ask()
                def ask(self): client.embeddings.create()  # !
        """,
    },
    "dependencies and background tasks": {
        "app.py": ASGI
        + """
from typing import Annotated
from fastapi import BackgroundTasks, Depends, FastAPI
from openai import OpenAI
from starlette.background import BackgroundTask
app = FastAPI()
app.add_middleware(UsageMiddleware)
def connected() -> OpenAI: return OpenAI()
def checked(llm: Annotated[OpenAI, Depends(connected)]): llm.moderations.create()
def later(llm): llm.embeddings.create()
@app.post("/")
def answer(background: BackgroundTasks, _=Depends(checked), llm=Depends(connected)):
    llm.embeddings.create()
    background.add_task(later, llm)
    return BackgroundTask(later, llm)
"""
    },
    "what runs when an application starts is no request": {
        "app.py": ASGI
        + """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from preamble import client
@asynccontextmanager
async def lifespan(app):
    client.embeddings.create()  # !
    yield
app = FastAPI(lifespan=lifespan)
app.add_middleware(UsageMiddleware)
"""
    },
    "a route that says itself whose it is": {
        "app.py": """
            from fastapi import FastAPI
            from spanmeter.instrumentation import usage
            from preamble import client
            app = FastAPI()
            @app.post("/")
            def answer(tenant: str):
                with usage(tenant_id=tenant):
                    client.embeddings.create()
        """
    },
    "middleware of one's own, made of ours": {
        "app.py": ASGI
        + """
from fastapi import FastAPI
from preamble import client
class TenantMiddleware(UsageMiddleware):
    def __init__(self, app):
        super().__init__(app, headers={"tenant_id": "x-tenant"})
app = FastAPI()
app.add_middleware(TenantMiddleware)
@app.post("/")
def answer(): client.embeddings.create()
"""
    },
    "an application that cannot be told": {
        "routes.py": """
            from preamble import client
            def register(app):
                @app.get("/answer")
                def answer(): client.embeddings.create()
        """,
        "app.py": ASGI + "application = UsageMiddleware(__import__('legacy').app)\n",
    },
}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
def test_what_is_marked_is_found_and_nothing_else(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, {"preamble.py": PREAMBLE, **files})
    assert found_in(tmp_path, "uncovered") == marked_in(tmp_path)
