"""The OpenID Connect client: authorization code flow with PKCE (OpenID Connect Core 1.0, Discovery 1.0, RFC 7636).

Authlib writes the requests and checks the claims, joserfc the signature. What a provider says is believed only where
it comes from the configured issuer over https, is signed by one of its keys, and answers the attempt it is shown for.
"""

import hmac
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from glaas.identities import Attempt, Person, RefusedError
from glaas.settings import SignOn
from glaas.urls import is_https_or_local

KEPT_S = 3600
RETRY_S = 5
TIMEOUT_S = 6
LEEWAY_S = 60
LONGEST_SUBJECT = 255  # OpenID Connect Core, section 2
# Signatures by a key that only the provider has: never `none`, never one that a shared secret could make.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
METADATA = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class UnreachableError(Exception):
    """The provider does not answer, or not with what a provider says."""


class Provider:
    """One provider, as this process knows it: its metadata and keys are fetched when needed and kept for an hour."""

    def __init__(self, settings: SignOn) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._failed_at = -RETRY_S * 2.0

    def authorization_url(self, attempt: Attempt, redirect_uri: str) -> str:
        """Where to send the browser.

        Raises:
            UnreachableError: nothing is known of the provider.
        """
        metadata, _ = self._known()
        with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=attempt.state, code_verifier=attempt.verifier,
                nonce=attempt.nonce, redirect_uri=redirect_uri)
        return str(url)

    def end_session_url(self, redirect_uri: str) -> str | None:
        """Where a person signs out of the provider as well; None where it has no such page or does not answer."""
        try:
            metadata, _ = self._known()
        except UnreachableError:
            return None
        endpoint = metadata.get("end_session_endpoint")
        if endpoint is None or not is_https_or_local(endpoint):
            return None
        return str(httpx2.URL(endpoint).copy_merge_params({
            "client_id": self.settings.client_id, "post_logout_redirect_uri": redirect_uri}))

    def identify(self, attempt: Attempt, *, code: str, issuer: str | None, redirect_uri: str) -> Person:
        """Exchange `code` for a proof of who signed in.

        Args:
            attempt: the one that the code answers.
            code: from the authorization response.
            issuer: `iss` of the authorization response (RFC 9207), if it had one.
            redirect_uri: the one that the attempt named.

        Raises:
            UnreachableError: the provider does not answer.
            RefusedError: the answer proves nothing.
        """
        metadata, keys = self._known()
        self.check_issuer(issuer)
        try:
            with self._client(metadata) as client:
                token = client.fetch_token(metadata["token_endpoint"], grant_type="authorization_code", code=code,
                                           code_verifier=attempt.verifier, redirect_uri=redirect_uri)
                claims = self._check(token, keys, attempt.nonce)
                if wanted := self._missing(claims, metadata):
                    claims = self._with_user_info(client, wanted, claims)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UnreachableError(str(error)) from error
        except AuthlibBaseError as error:
            raise RefusedError("the provider did not accept the code") from error
        except ValueError as error:  # JSON that is none
            raise UnreachableError(str(error)) from error
        return Person(issuer=claims["iss"], subject=claims["sub"], claims=claims)

    def check_issuer(self, issuer: str | None) -> None:
        """Refuse an authorization response that another provider gave (RFC 9207).

        Raises:
            UnreachableError: nothing is known of the provider.
            RefusedError: it is, or does not say where the provider promises that it would.
        """
        metadata, _ = self._known()
        if issuer is None and not metadata.get("authorization_response_iss_parameter_supported"):
            return
        if issuer != self.settings.issuer:
            raise RefusedError("the answer came from another provider")

    # ------------------------------------------------------------------------------------------------ the token

    def _check(self, token: Mapping[str, Any], keys: KeySet, nonce: str) -> dict[str, Any]:
        """The claims of the ID token, all of them checked (OpenID Connect Core, section 3.1.3.7)."""
        encoded = token.get("id_token")
        if not isinstance(encoded, str) or not encoded.isascii():
            raise RefusedError("the provider sent no ID token")
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            try:
                signed = jwt.decode(encoded, keys, registry=registry)
            except InvalidKeyIdError:  # a new key
                signed = jwt.decode(encoded, self._fetch(least_age_s=RETRY_S)[1], registry=registry)
            claims = CodeIDToken(signed.claims, signed.header, {
                "iss": {"essential": True, "value": self.settings.issuer},
                "aud": {"essential": True, "value": self.settings.client_id},
            }, {"nonce": nonce, "client_id": self.settings.client_id, "access_token": token.get("access_token")})
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            # joserfc names what is wrong by class; nonsense inside a token can also be of any other type.
            raise RefusedError(f"the ID token is not valid ({type(error).__name__})") from error
        if not hmac.compare_digest(str(claims.get("nonce")), nonce):
            raise RefusedError("the ID token belongs to another sign-in")
        if set(_texts(claims["aud"])) != {self.settings.client_id}:
            raise RefusedError("the ID token is meant for someone else as well")
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise RefusedError("the ID token names nobody")
        return dict(claims)

    def _missing(self, claims: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
        """The address to ask for claims that are needed and not in the ID token."""
        wanted = {self.settings.user_claim}
        wanted |= {"email", "email_verified"} if self.settings.email_domains else set()
        wanted |= {self.settings.groups_claim} if self.settings.groups else set()
        endpoint = metadata.get("userinfo_endpoint")
        return endpoint if wanted - claims.keys() and is_https_or_local(endpoint) else None

    def _with_user_info(self, client: OAuth2Client, endpoint: str, claims: dict[str, Any]) -> dict[str, Any]:
        """The claims with what the provider says of the same person besides (OpenID Connect Core, section 5.3)."""
        answer = client.get(endpoint, headers={"Accept": "application/json"})
        answer.raise_for_status()
        more = answer.json()
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            raise RefusedError("the provider spoke of someone else")
        return more | claims

    # ------------------------------------------------------------------------------------- what the provider is

    def _client(self, metadata: Mapping[str, Any]) -> OAuth2Client:
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = None
        if self.settings.client_secret is not None:
            method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return OAuth2Client(
            client_id=self.settings.client_id, client_secret=self.settings.client_secret,
            scope=" ".join(dict.fromkeys(["openid", *self.settings.scopes])), code_challenge_method="S256",
            token_endpoint_auth_method=method, timeout=TIMEOUT_S, follow_redirects=False)

    def _known(self) -> tuple[dict[str, Any], KeySet]:
        return self._fetch(least_age_s=KEPT_S)

    def _fetch(self, *, least_age_s: float) -> tuple[dict[str, Any], KeySet]:
        """Metadata and keys, fetched anew where they are older than `least_age_s`.

        One thread fetches. A provider that does not answer is left alone for a moment, so that waiting for it does not
        take up all threads.
        """
        with self._lock:
            now = time.monotonic()
            if self._metadata is not None and self._keys is not None and now - self._fetched_at < least_age_s:
                return self._metadata, self._keys
            if now - self._failed_at < RETRY_S:
                raise UnreachableError("it did not answer a moment ago")
            try:
                with httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False) as client:
                    metadata = _json(client, self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
                    _check_metadata(metadata, self.settings.issuer)
                    keys = KeySet.import_key_set(_json(client, metadata["jwks_uri"]))
            except (httpx2.HTTPError, httpx2.InvalidURL, JoseError, ValueError, TypeError, KeyError) as error:
                # What a key set may hold wrong, joserfc tells by these classes.
                self._failed_at = time.monotonic()
                raise UnreachableError(str(error)) from error
            self._metadata, self._keys, self._fetched_at = metadata, keys, now
            return metadata, keys


def _json(client: httpx2.Client, url: str) -> Any:
    answer = client.get(url, headers={"Accept": "application/json"})
    answer.raise_for_status()
    if answer.status_code != httpx2.codes.OK:
        raise ValueError(f"{url} answers {answer.status_code}")
    return answer.json()


def _check_metadata(metadata: Any, issuer: str) -> None:
    """Raises ValueError unless this is the metadata of `issuer` (OpenID Connect Discovery, section 4.3)."""
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise ValueError("its metadata names another issuer")
    for name in METADATA:
        if not is_https_or_local(metadata.get(name)):
            raise ValueError(f"its {name} is no https URL")


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
