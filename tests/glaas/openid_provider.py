"""OpenID providers for tests: the real one by panva, and one that says whatever it is told to."""

import base64
import hmac
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

FOLDER = Path(sys.prefix) / "node"
PROGRAM = Path(__file__).parent / "provider" / "provider.mjs"
SECRET = "not-for-the-command-line"
PEOPLE = {
    "sub-ada": {"preferred_username": "ada", "name": "Ada", "groups": ["science", "staff"],
                "email": "ada@example.com", "email_verified": True},
    "sub-bob": {"preferred_username": "bob", "groups": ["staff"], "email": "bob@EXAMPLE.com", "email_verified": False},
    "sub-eve": {"preferred_username": "eve", "groups": [], "email": "eve@evil.example", "email_verified": True},
    "sub-odd": {"preferred_username": "odd name <b>", "email": "odd@example.com", "email_verified": True},
    "sub-nameless": {"email": "nameless@example.com", "email_verified": True},
}


def start_provider():
    """The process of a real provider, and its issuer."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("node or oidc-provider is not installed: make test does it (tools/install_test_needs.sh)")
    process = subprocess.Popen([node, PROGRAM, FOLDER, json.dumps(PEOPLE)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    issuer = next((line.strip() for line in process.stdout if line.startswith("http://127.0.0.1:")), None)
    assert issuer is not None
    return process, issuer


def sign_in_there(url, login):
    """What a person does in the provider's pages: type a login, agree. The address that leads back to glaas."""
    with httpx2.Client(follow_redirects=False) as browser:
        for _ in range(12):
            answer = browser.get(url)
            while answer.status_code == 200:
                form = re.search(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', answer.text, re.DOTALL)
                fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
                fields |= {"login": login, "password": "any"} if 'name="login"' in form[2] else {}
                answer = browser.post(urljoin(str(answer.url), form[1]), data=fields)
            url = urljoin(str(answer.url), answer.headers["location"])
            if urlsplit(url).path == "/login/sso/done":
                return url
    raise AssertionError(url)


class OddProvider:
    """A provider on loopback that signs what it is told to.

    Attributes:
        metadata: what its discovery document says, to be changed.
        key: that it publishes and signs with.
        token: status and body of the token response.
        user_info: what it says of a person besides; None for nothing.
        requests: parameters of the token requests it got.
    """

    def __init__(self):
        self.key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
        self.keys = [self.key]
        self.requests = []
        self.token = None
        self.user_info = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self, None)

            def do_POST(self):
                length = int(self.headers["content-length"])
                outer.answer(self, {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()})

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.metadata = {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/auth",
                         "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                         "userinfo_endpoint": f"{self.issuer}/me"}
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def answer(self, handler, form):
        path = urlsplit(handler.path).path
        status, body = 200, None
        if path == "/.well-known/openid-configuration":
            body = self.metadata
        elif path == "/keys":
            body = {"keys": [key.as_dict(private=False) for key in self.keys]}
        elif path == "/token":
            self.requests.append(form)
            status, body = self.token
        elif path == "/me" and self.user_info is not None:
            body = self.user_info
        else:
            status = 404
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def claims(self, nonce, /, **more):
        now = int(time.time())
        return {"iss": self.issuer, "sub": "sub-mallory", "aud": "glaas", "iat": now, "exp": now + 300,
                "nonce": nonce, "preferred_username": "mallory"} | more

    def signed(self, claims, *, key=None, alg="RS256", kid="one"):
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": alg, "kid": kid}, claims, key or self.key, algorithms=[alg])

    def by_hand(self, claims, alg, secret=None):
        """A token as no library makes it: unsigned, or signed with a secret that is none."""
        header = {"alg": alg, "kid": "one"}
        text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
        mac = b"" if secret is None else hmac.digest(secret, text, "sha256")
        return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()

    def say(self, id_token, **more):
        self.token = (200, {"access_token": "x", "token_type": "Bearer", "id_token": id_token} | more)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
