"""Single sign-on: with a real OpenID provider, and against one that lies."""

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey
from openid_provider import SECRET, OddProvider, sign_in_there, start_provider
from sqlalchemy import select, update
from starlette.testclient import TestClient

from glaas import accounts, identities, models
from glaas.app import create_app
from glaas.cli import main
from glaas.db import open_engine, writing
from glaas.settings import Settings, SignOn

PASSWORD = "correct horse battery"
ORIGIN = {"origin": "https://testserver"}


@pytest.fixture(scope="module")
def provider():
    """The issuer of a real provider."""
    process, issuer = start_provider()
    yield issuer
    process.terminate()
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def odd():
    provider = OddProvider()
    yield provider
    provider.stop()


@dataclasses.dataclass
class Door:
    client: TestClient
    engine: object

    def begin(self, **parameters):
        """The address at the provider where a sign-in begins."""
        answer = self.client.get("/login/sso", params=parameters, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def end(self, url):
        parts = urlsplit(url)
        return self.client.get(f"{parts.path}?{parts.query}", follow_redirects=False)

    def sign_in(self, login, **parameters):
        return self.end(sign_in_there(self.begin(**parameters), login))

    def who(self):
        return self.client.get("/api/v1/whoami").json()["user"]

    def audit(self):
        with self.engine.connect() as connection:
            return [(row.action, row.subject) for row in connection.execute(select(models.audit))]

    def users(self):
        with self.engine.connect() as connection:
            return set(connection.execute(select(models.user.c.name)).scalars())


@contextlib.contextmanager
def door(database, issuer, **more):
    values = {"client_id": "glaas", "client_secret": SECRET, "label": "Acme", "new_users": True} | more
    engine = open_engine(database)
    settings = Settings(database=database, accounts=True, sign_on=SignOn(issuer=issuer, **values),
                        sign_ins_per_minute=0)
    with TestClient(create_app(settings), base_url="https://testserver") as client:
        yield Door(client, engine)
    engine.dispose()


@pytest.fixture
def real(database, provider):
    """A server whose people come from the real provider."""
    with door(database, provider) as opened:
        yield opened


@pytest.fixture
def lied_to(tmp_path, sqlite_template, odd):
    """A server whose provider says what it is told to; one database is enough, for nothing may be written."""
    file = tmp_path / "glaas.db"
    file.write_bytes(sqlite_template.read_bytes())
    with door(f"sqlite:///{file}", odd.issuer) as opened:
        yield opened


def parameters(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# ------------------------------------------------------------------------------------------- the real provider


def test_signing_in_and_out(real, provider):
    begun = real.begin(next="/account")
    asked = parameters(begun)
    assert begun.startswith(f"{provider}/auth?")
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "https://testserver/login/sso/done"
    assert asked["scope"].split()[0] == "openid"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    done = real.end(sign_in_there(begun, "sub-ada"))
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    cookie = done.headers["set-cookie"]
    for word in ("__Host-glaas=", "HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie
    assert real.who() == "ada"
    assert "sub-ada" in real.client.get("/account").text
    out = real.client.post("/logout", headers=ORIGIN)
    assert f"{provider}/session/end?client_id=glaas" in out.text
    assert real.who() is None
    assert ("user added", "ada") in real.audit()
    assert ("identity linked", f"{provider} sub-ada") in real.audit()
    assert ("signed in by single sign-on", f"{provider} sub-ada") in real.audit()


def test_the_same_person_is_the_same_account_whatever_it_is_called(real, provider):
    real.sign_in("sub-ada")
    with writing(real.engine) as connection:
        connection.execute(update(models.user), {"name": "renamed"})
    real.client.cookies.clear()
    real.sign_in("sub-ada")
    assert real.who() == "renamed"
    assert real.users() == {"renamed"}


def test_passwords_work_beside_it(real):
    with writing(real.engine) as connection:
        accounts.add_user(connection, "local", PASSWORD)
    page = real.client.get("/login?next=/account").text
    assert 'href="/login/sso?next=/account">Sign in with Acme' in page
    real.client.post("/login", data={"name": "local", "password": PASSWORD}, headers=ORIGIN)
    assert real.who() == "local"
    assert real.client.post("/login", data={"name": "ada", "password": ""}, headers=ORIGIN).status_code in {401, 422}


def test_a_name_or_address_alone_links_nobody(real, provider):
    """There is a local `ada`. Who the provider calls `ada` is not her until one of them proves it."""
    with writing(real.engine) as connection:
        accounts.add_user(connection, "ada", PASSWORD)
    refused = real.sign_in("sub-ada")
    assert refused.status_code == 403
    assert "there is an account ada already, and nothing proves that it is yours" in refused.text
    assert f"glaas user link NAME sub-ada --issuer {provider}" in refused.text
    assert real.who() is None
    real.client.post("/login", data={"name": "ada", "password": PASSWORD}, headers=ORIGIN)
    page = real.client.post("/account/link", headers=ORIGIN)
    url = page.headers["refresh"].partition("url=")[2]
    assert url.startswith(f"{provider}/auth?")
    done = real.end(sign_in_there(url, "sub-ada"))
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    real.client.cookies.clear()
    assert real.sign_in("sub-ada").status_code == 303
    assert real.who() == "ada"
    assert real.users() == {"ada"}


def test_an_identity_belongs_to_one_account(real):
    real.sign_in("sub-ada")
    real.client.cookies.clear()
    with writing(real.engine) as connection:
        accounts.add_user(connection, "local", PASSWORD)
    real.client.post("/login", data={"name": "local", "password": PASSWORD}, headers=ORIGIN)
    url = real.client.post("/account/link", headers=ORIGIN).headers["refresh"].partition("url=")[2]
    refused = real.end(sign_in_there(url, "sub-ada"))
    assert refused.status_code == 403
    assert "linked to another account already" in refused.text


def test_another_site_links_nobody(real):
    assert real.client.post("/account/link", headers={"origin": "https://evil.example"}).status_code == 403
    assert real.client.post("/account/link", headers=ORIGIN).status_code == 401


def test_a_link_is_only_for_who_began_it(real):
    with writing(real.engine) as connection:
        accounts.add_user(connection, "one", PASSWORD)
        accounts.add_user(connection, "two", PASSWORD)
    real.client.post("/login", data={"name": "one", "password": PASSWORD}, headers=ORIGIN)
    url = real.client.post("/account/link", headers=ORIGIN).headers["refresh"].partition("url=")[2]
    real.client.post("/login", data={"name": "two", "password": PASSWORD}, headers=ORIGIN)
    refused = real.end(sign_in_there(url, "sub-ada"))
    assert refused.status_code == 403
    with real.engine.connect() as connection:
        assert connection.execute(select(models.identity)).all() == []


@pytest.mark.parametrize(("more", "login", "reason"), [
    ({"new_users": False}, "sub-ada", "no account of this server is linked to you"),
    ({"email_domains": frozenset({"example.com"})}, "sub-eve", "none of the domains"),
    ({"email_domains": frozenset({"example.com"})}, "sub-bob", "not verified your e-mail address"),
    ({"groups": frozenset({"science"})}, "sub-bob", "none of the groups"),
    ({"groups": frozenset({"science"})}, "sub-nameless", "none of the groups"),
    ({}, "sub-odd", "makes no account"),
    ({}, "sub-nameless", "does not say your preferred_username"),
    ({"user_claim": "email"}, "sub-bob", "not verified your e-mail address"),
    ({"client_secret": "wrong"}, "sub-ada", "did not accept the code"),
])
def test_who_may_not_sign_in_is_told_why(database, provider, more, login, reason):
    with door(database, provider, **more) as server:
        refused = server.sign_in(login)
        assert refused.status_code == 403
        assert refused.text.count('role="alert"') == 1
        assert reason in refused.text
        assert "<b>" not in refused.text.partition('role="alert"')[2].partition("</p>")[0]
        assert server.who() is None
        assert server.users() == set()
        assert any(action == "single sign-on refused" and reason in subject for action, subject in server.audit())


@pytest.mark.parametrize("more", [
    {"email_domains": frozenset({"example.com"}), "groups": frozenset({"science"})},
    {"client_id": "glaas-public", "client_secret": None}, {"user_claim": "email"}])
def test_who_may_sign_in(database, provider, more):
    with door(database, provider, **more) as server:
        assert server.sign_in("sub-ada").status_code == 303
        assert server.who() == ("ada@example.com" if "user_claim" in more else "ada")


def test_who_leaves_the_group_is_out_at_the_next_sign_in(database, provider):
    with door(database, provider) as server:
        server.sign_in("sub-bob")
        assert server.who() == "bob"
    with door(database, provider, groups=frozenset({"science"})) as server:
        assert server.sign_in("sub-bob").status_code == 403


def test_a_disabled_account_stays_out(real):
    real.sign_in("sub-ada")
    with writing(real.engine) as connection:
        accounts.set_active(connection, "ada", active=False)
    assert real.who() is None
    refused = real.sign_in("sub-ada")
    assert refused.status_code == 403
    assert "this account is disabled" in refused.text


def test_who_says_no_at_the_provider_is_told(real):
    asked = parameters(real.begin())
    issuer = urlsplit(real.begin())
    asked = parameters(issuer.geturl())
    answer = real.client.get("/login/sso/done", params={
        "state": asked["state"], "error": "access_denied", "error_description": "<b>hush</b>",
        "iss": f"{issuer.scheme}://{issuer.netloc}"})
    assert answer.status_code == 403
    assert "the provider said access_denied" in answer.text
    assert "hush" not in answer.text


def test_an_answer_counts_once(real):
    url = sign_in_there(real.begin(), "sub-ada")
    assert real.end(url).status_code == 303
    real.client.cookies.clear()
    replayed = real.end(url)
    assert replayed.status_code == 403
    assert "not begun in this browser, or is over" in replayed.text
    assert real.who() is None


def test_an_old_code_with_a_new_attempt_is_refused_by_the_provider(real):
    url = sign_in_there(real.begin(), "sub-ada")
    assert real.end(url).status_code == 303
    real.client.post("/logout", headers=ORIGIN)
    fresh = parameters(real.begin())["state"]
    used = parameters(url)
    answer = real.client.get("/login/sso/done", params=used | {"state": fresh})
    assert answer.status_code == 403
    assert "did not accept the code" in answer.text
    assert real.who() is None


def test_a_code_that_another_browser_got_is_worthless(real):
    """Someone lures a victim to the end of their own sign-in: the victim's browser has no such attempt."""
    url = sign_in_there(real.begin(), "sub-eve")
    real.client.cookies.clear()
    assert real.end(url).status_code == 403
    mine = parameters(real.begin())["state"]  # an attempt of the victim's own does not help either
    answer = real.client.get("/login/sso/done", params=parameters(url) | {"state": mine})
    assert answer.status_code == 403
    assert real.who() is None


def test_an_attempt_belongs_to_the_browser_that_began_it(real):
    state = parameters(real.begin())["state"]
    secret = real.client.cookies["__Host-glaas-sign-on"]
    with writing(real.engine) as connection:
        for other in ("", "x", secret[:-1]):
            assert identities.take(connection, identities.Attempt(state=state, secret=other)) is None
        assert identities.take(connection, identities.Attempt(state=state, secret=secret)).target == "/"
        assert identities.take(connection, identities.Attempt(state=state, secret=secret)) is None


@pytest.mark.parametrize("change", [{"state": "wrong"}, {"state": None}, {"state": "\0"}, {"code": None},
                                    {"iss": None}, {"iss": "https://other.example"}])
def test_an_answer_that_was_changed_on_the_way(real, change):
    answer = {name: value for name, value in (parameters(sign_in_there(real.begin(), "sub-ada")) | change).items()
              if value is not None}
    assert real.client.get("/login/sso/done", params=answer).status_code == 403
    assert real.who() is None


def test_an_attempt_expires(real):
    url = sign_in_there(real.begin(), "sub-ada")
    with writing(real.engine) as connection:
        connection.execute(update(models.sign_on_attempt), {"expires_at": "2020-01-01T00:00:00.000000Z"})
    assert real.end(url).status_code == 403
    real.begin()
    with real.engine.connect() as connection:
        assert len(connection.execute(select(models.sign_on_attempt)).all()) == 1


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert",
                                    "/\t/evil.example"])
def test_signing_in_never_leads_elsewhere(real, target):
    assert real.sign_in("sub-ada", next=target).headers["location"] == "/"
    assert real.client.get("/login", params={"next": target}, follow_redirects=False).headers["location"] == "/"


def test_no_secret_is_kept_and_two_processes_share_attempts(real, database, provider):
    begun = real.begin()
    cookie = real.client.cookies["__Host-glaas-sign-on"]
    asked = parameters(begun)
    attempt = identities.Attempt(state=asked["state"], secret=cookie)
    assert attempt.nonce == asked["nonce"]
    with real.engine.connect() as connection:
        kept = str(list(connection.execute(select(models.sign_on_attempt))))
    for secret in (asked["state"], cookie, attempt.nonce, attempt.verifier):
        assert secret not in kept
    with door(database, provider) as other:
        other.client.cookies.set("__Host-glaas-sign-on", cookie, domain="testserver.local")
        assert other.end(sign_in_there(begun, "sub-ada")).status_code == 303


# --------------------------------------------------------------------------------------------- lying providers


def try_token(server, odd, make):
    """Sign in with the token that `make` makes of the nonce."""
    asked = parameters(server.begin())
    token = make(asked["nonce"])
    if token is not None:
        odd.say(token)
    return server.client.get("/login/sso/done", params={"state": asked["state"], "code": "c0de"},
                             follow_redirects=False)


def test_the_odd_provider_can_tell_the_truth(lied_to, odd):
    assert try_token(lied_to, odd, lambda nonce: odd.signed(odd.claims(nonce))).status_code == 303
    assert lied_to.who() == "mallory"
    assert odd.requests[0]["code"] == "c0de"
    assert len(odd.requests[0]["code_verifier"]) >= 43


@pytest.mark.parametrize(("claims", "reason"), [
    ({"nonce": "wrong"}, "InvalidClaimError"),
    ({"nonce": None}, "MissingClaimError"),
    ({"nonce": 7}, "InvalidClaimError"),
    ({"iss": "https://other.example"}, "InvalidClaimError"),
    ({"iss": None}, "MissingClaimError"),
    ({"aud": "another client"}, "InvalidClaimError"),
    ({"aud": "another client", "azp": "glaas"}, "InvalidClaimError"),
    ({"aud": ["glaas", "another client"], "azp": "glaas"}, "someone else as well"),
    ({"aud": []}, "not valid"),
    ({"aud": None}, "MissingClaimError"),
    ({"azp": "another client"}, "InvalidClaimError"),
    ({"exp": int(time.time()) - 3600}, "ExpiredTokenError"),
    ({"exp": None}, "MissingClaimError"),
    ({"exp": "tomorrow"}, "not valid"),
    ({"iat": int(time.time()) + 3600}, "not valid"),
    ({"nbf": int(time.time()) + 3600}, "not valid"),
    ({"sub": None}, "MissingClaimError"),
    ({"sub": ""}, "names nobody"),
    ({"sub": 7}, "InvalidClaimError"),
    ({"sub": "x" * 256}, "names nobody"),
    ({"sub": "a\nb"}, "names nobody"),
    ({"at_hash": "wrong"}, "InvalidClaimError"),
])
def test_a_token_with_a_false_claim(lied_to, odd, claims, reason):
    answer = try_token(lied_to, odd, lambda nonce: odd.signed(odd.claims(nonce, **claims)))
    assert answer.status_code == 403
    assert reason in answer.text
    assert lied_to.who() is None
    assert lied_to.users() == set()


def stranger():
    return RSAKey.generate_key(2048, {"kid": "one"})


@pytest.mark.parametrize("make", [
    lambda odd, claims: odd.by_hand(claims, "none"),
    lambda odd, claims: odd.by_hand(claims, "None"),
    lambda odd, claims: odd.by_hand(claims, "RS256"),
    lambda odd, claims: odd.signed(claims, key=stranger()),
    lambda odd, claims: odd.signed(claims, key=stranger(), kid="unknown"),
    lambda odd, claims: odd.by_hand(claims, "HS256", SECRET.encode()),
    lambda odd, claims: odd.by_hand(claims, "HS256", odd.key.as_pem(private=False)),
    lambda odd, claims: odd.signed(claims)[:-8] + "AAAAAAAA",
    lambda odd, claims: odd.signed(claims).rpartition(".")[0] + ".",
    lambda odd, claims: "not.a.token",
    lambda odd, claims: "",
    lambda odd, claims: "\u20ac.e.e",
    lambda odd, claims: 7,
    lambda odd, claims: ["x"],
], ids=["none", "None", "unsigned", "other key", "unknown key", "client's secret", "public key as secret",
        "broken signature", "no signature", "no token", "empty", "no ascii", "number", "list"])
def test_a_token_with_a_false_signature(lied_to, odd, make):
    answer = try_token(lied_to, odd, lambda nonce: make(odd, odd.claims(nonce)))
    assert answer.status_code == 403
    assert lied_to.who() is None
    assert lied_to.users() == set()


def test_a_new_key_is_fetched(lied_to, odd, monkeypatch):
    monkeypatch.setattr("glaas.openid.RETRY_S", 0)
    assert try_token(lied_to, odd, lambda nonce: odd.signed(odd.claims(nonce))).status_code == 303
    new = RSAKey.generate_key(2048, {"kid": "two", "alg": "RS256", "use": "sig"})
    odd.keys = [new]
    lied_to.client.cookies.clear()
    assert try_token(lied_to, odd, lambda nonce: odd.signed(odd.claims(nonce), key=new, kid="two")).status_code == 303


def test_what_the_provider_says_besides_is_of_the_same_person(lied_to, odd):
    odd.user_info = {"sub": "sub-someone", "preferred_username": "ada"}
    answer = try_token(lied_to, odd, lambda nonce: odd.signed(odd.claims(nonce, preferred_username=None)))
    assert answer.status_code == 403
    assert "spoke of someone else" in answer.text
    odd.user_info = {"sub": "sub-mallory", "preferred_username": "mal", "iss": "https://x", "nonce": "x"}
    answer = try_token(lied_to, odd, lambda nonce: odd.signed(odd.claims(nonce, preferred_username=None)))
    assert answer.status_code == 303
    assert lied_to.who() == "mal"


@pytest.mark.parametrize("token", [
    (400, {"error": "invalid_grant", "error_description": "<b>no</b>"}), (200, {"error": "x"}), (401, {}), (200, {}),
    (200, {"access_token": "x"}), (500, {}), (200, b"<html>"), (200, b"[]"), (302, {}), (429, b"slow down")])
def test_a_token_endpoint_that_answers_oddly(lied_to, odd, token):
    odd.token = token
    answer = try_token(lied_to, odd, lambda nonce: None)
    assert answer.status_code in {403, 503}
    assert "<b>no" not in answer.text
    assert lied_to.who() is None


@pytest.mark.parametrize("change", [
    {"issuer": "https://other.example"}, {"issuer": None}, {"jwks_uri": None}, {"token_endpoint": "ftp://x/"},
    {"token_endpoint": "http://other.example/token"}, {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": "http://other.example/"}, {"token_endpoint": ["x"]}])
def test_metadata_that_is_another_providers_or_unsafe(lied_to, odd, change):
    odd.metadata |= change
    answer = lied_to.client.get("/login/sso", follow_redirects=False)
    assert answer.status_code == 503
    assert "Acme cannot be reached right now." in answer.text


@pytest.mark.parametrize("metadata", [b"<html>", b"[]", b"null", b'{"issuer": 1}'])
def test_metadata_that_is_none(lied_to, odd, metadata):
    odd.metadata = metadata
    assert lied_to.client.get("/login/sso", follow_redirects=False).status_code == 503


def test_a_provider_that_is_not_there(database):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with door(database, f"http://127.0.0.1:{taken.getsockname()[1]}") as server:
            answer = server.client.get("/login/sso")
            assert answer.status_code == 503
            sentence = "Acme cannot be reached right now. Try again in a moment, or sign in with a password."
            assert answer.text.count(sentence) == 1
            started = time.monotonic()
            assert server.client.get("/login/sso").status_code == 503  # it is left alone for a moment
            assert time.monotonic() - started < 1
            assert server.client.get("/login").status_code == 200


def test_a_provider_that_goes_away_between(lied_to, odd):
    state = parameters(lied_to.begin())["state"]
    odd.stop()
    answer = lied_to.client.get("/login/sso/done", params={"state": state, "code": "c"})
    assert answer.status_code == 503
    assert "Acme cannot be reached right now." in answer.text


def test_signing_in_is_limited(database, odd):
    settings = Settings(database=database, accounts=True, sign_ins_per_minute=3, sign_on=SignOn(
        issuer=odd.issuer, client_id="glaas"))
    with TestClient(create_app(settings), base_url="https://testserver") as client:
        statuses = [client.get("/login/sso", follow_redirects=False).status_code for _ in range(4)]
        assert statuses == [303, 303, 303, 429]
        assert client.post("/login", data={"name": "x", "password": "y"}, headers=ORIGIN).status_code == 429
        assert client.post("/api/v1/device").status_code == 429


# ------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--oidc-issuer", "http://accounts.example.com"], "an https URL"),
    (["--oidc-issuer", "https://x.example/?a=b"], "no query"),
    (["--oidc-issuer", "https://x.example"], "client id"),
    (["--oidc-client-id", "x"], "--oidc-client-id means nothing"),
    (["--oidc-new-users"], "--oidc-new-users means nothing"),
    (["--oidc-issuer", "https://x.example", "--oidc-client-id", "x", "--no-accounts"], "without accounts"),
    (["--oidc-issuer", "https://x.example", "--oidc-client-id", "x", "--host", "0.0.0.0"], "sends people back"),
])
def test_settings_that_cannot_be(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_an_administrator_links_and_unlinks(database, provider, capsys):
    base = ["--database", database]
    assert main(["user", "add", "ada", "--no-password", *base]) == 0
    assert main(["user", "link", "ada", "sub-ada", *base]) == 2
    assert main(["user", "link", "ada", "sub-ada", "--issuer", provider, *base]) == 0
    assert main(["user", "promote", "ada", *base]) == 0
    with door(database, provider, new_users=False) as server:
        assert server.sign_in("sub-ada").status_code == 303
        assert server.client.get("/api/v1/whoami").json() == {
            "user": "ada", "admin": True, "can_write": True, "accounts": True}
        assert main(["user", "demote", "ada", *base]) == 0
        assert server.client.get("/api/v1/whoami").json()["admin"] is False
        assert main(["user", "unlink", "ada", *base]) == 0
        assert server.who() is None
        assert server.sign_in("sub-ada").status_code == 403
    assert main(["user", "unlink", "ada", *base]) == 1
    assert "Nobody signs in as ada" in capsys.readouterr().err


def test_the_secret_comes_from_the_environment_alone_and_shows_nowhere(tmp_path, provider):
    secret = "only-in-the-environment-0123456789"
    help_text = subprocess.run([sys.executable, "-m", "glaas.cli", "serve", "--help"], capture_output=True, text=True,
                               check=True).stdout
    assert "--oidc-client-secret" not in help_text
    assert "GLAAS_OIDC_CLIENT_SECRET" in help_text
    assert secret not in repr(SignOn(issuer=provider, client_id="glaas", client_secret=secret))
    command = [sys.executable, "-m", "glaas.cli", "serve", "--port", "0", "--access-log", "--oidc-new-users",
               "--database", f"sqlite:///{tmp_path}/g.db"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={
        "PATH": "/usr/bin:/bin", "GLAAS_OIDC_ISSUER": provider, "GLAAS_OIDC_CLIENT_ID": "glaas",
        "GLAAS_OIDC_CLIENT_SECRET": secret})
    address = process.stdout.readline().split()[-1].rstrip("/")
    with httpx2.Client(base_url=address) as client:
        begun = client.get("/login/sso").headers["location"]
        back = urlsplit(sign_in_there(begun, "sub-ada"))
        refused = client.get(f"{back.path}?{back.query}")
    assert refused.status_code == 403  # the secret is wrong
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=30)
    assert [json.loads(line)["path"] for line in errors.splitlines() if "path" in line] == [
        "/login/sso", "/login/sso/done"]
    for text in (secret, parameters(begun)["state"], parameters(back.geturl())["code"]):
        assert text not in out + errors
