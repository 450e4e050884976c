"""Secrets are dropped before anything is hashed or written: by members' names, or by the caller's own function."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from helpers import observe, signer
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from hearth_records.canonical import encode_event
from hearth_records.errors import RecordingError, SecurityEscalationError
from hearth_records.journal import Journal
from hearth_records.kernel import HearthKernel
from hearth_records.model import MAX_TEXT
from hearth_records.observer import ExecutionObserver
from hearth_records.recordable import to_details
from hearth_records.redaction import MASK, is_secret_name, mask_secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET: Final = "hunter2-8f1c"

# --- names -----------------------------------------------------------------------------------------------------------

SECRET_NAMES: Final = [
    *("password", "Password", "PASSWORD", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets", "token"),
    *("tokens", "authorization", "Authorization", "bearer", "cookie", "credential", "credentials", "apikey"),
    *("api_key", "api-key", "apiKey", "APIKey", "API_KEY", "ApiKeys", "x-api-key", "api key", "api.key", "api:key"),
    *("accessKey", "access_key", "AWS_SECRET_ACCESS_KEY", "privateKey", "private_key", "signing-key", "client_key"),
    *("dbPassword", "db_password", "db-password", "DB_PASSWORD", "db.password", "db password", "passwordOfAda"),
    *("PGPASSWORD", "MYSQL_PWD", "GITHUB_TOKEN", "X-Auth-Token", "Set-Cookie", "Proxy-Authorization", "authToken"),
    *("oauth2Token", "password1", "password_2", "token2024", "clientsecret", "privatekey", "PaSsWoRd", "passWord"),
    *(
        "éclair_password",
        "пароль_token",
        "secret.key",
        "secret_name",
        "--password",
        "password=",
        " token ",
        "HTTPToken",
    ),
]
OTHER_NAMES: Final = [
    *("author", "authored", "authority", "authorized", "tokenizer", "tokenized", "secretary"),
    *("key", "keys", "keyboard", "monkey", "turnkey", "primary_key", "public_key", "keyid", "api", "private", "access"),
    *("pass", "passed", "passenger", "compass", "path", "bearing", "cook", "credit", "user", "pw"),
    *("", "-", "_", "é", "пароль", "名前", "pass_the_word", "api_of_the_key", "wordpass", "signature", "session"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)
    assert mask_secrets(name, SECRET) == MASK


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_name_that_only_looks_like_one_is_not(name: str) -> None:
    assert not is_secret_name(name)
    assert mask_secrets(name, SECRET) == SECRET


words = st.sampled_from(["db", "user", "of", "the", "x", "http", "2", "é"])


@given(
    st.lists(words, max_size=2),
    st.sampled_from(["password", "token", "secret", "authorization", "passphrase", "credential"]),
    st.lists(words, max_size=2),
    st.sampled_from(["_", "-", ".", " ", "/", ":", "camel"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_a_word_is_found_however_it_is_joined(
    before: list[str], word: str, after: list[str], joint: str, case: Callable[[str], str]
) -> None:
    parts = [*before, word, *after]
    name = "".join(map(str.title, parts)) if joint == "camel" else joint.join(map(case, parts))
    assert is_secret_name(name)


@pytest.mark.parametrize("value", [None, True, False, ""])
def test_what_says_nothing_is_recorded_as_it_is(value: object) -> None:
    assert mask_secrets("password", value) is value


@pytest.mark.parametrize("value", [0, 42, 1.5, b"", b"x", [], ["x"], {}, {"a": "x"}, ("x",), object()])
def test_a_secret_of_any_other_type_is_masked(value: object) -> None:
    assert mask_secrets("password", value) == MASK


# --- details ---------------------------------------------------------------------------------------------------------


@dataclass
class Login:
    """A dataclass with a secret."""

    user: str
    password: str


class Grant(Struct):
    """A struct with a secret."""

    scope: str
    token: str


class Key(enum.Enum):
    """Names of members."""

    SECRET = "client_secret"
    PLAIN = "client"


class Hidden:
    """Tells when somebody looks at it."""

    def __init__(self) -> None:
        self.seen = False

    def __str__(self) -> str:
        self.seen = True
        return SECRET

    __repr__ = __str__


def events_of(observer: ExecutionObserver) -> list[dict[str, Any]]:
    """Return the events so far, as plain JSON."""
    return [json.loads(encode_event(event)) for event in observer.get_execution_record("LIVE").events]


def details_of(value: object, **keywords: Any) -> Any:
    return json.loads(to_details(value, **keywords))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"password": SECRET, "user": "ada"}, {"password": MASK, "user": "ada"}),
        ({"a": {"b": [{"token": SECRET}, [{"secret": SECRET}]]}}, {"a": {"b": [{"token": MASK}, [{"secret": MASK}]]}}),
        ({"credentials": {"user": "ada", "x": SECRET}}, {"credentials": MASK}),
        ({"tokens": [SECRET, SECRET]}, {"tokens": MASK}),
        ({"login": Login("ada", SECRET)}, {"login": {"user": "ada", "password": MASK}}),
        ({"logins": [Login("ada", SECRET)]}, {"logins": [{"user": "ada", "password": MASK}]}),
        ({"grant": (Grant("all", SECRET),)}, {"grant": [{"scope": "all", "token": MASK}]}),
        ({Key.SECRET: SECRET, Key.PLAIN: "x"}, {"client_secret": MASK, "client": "x"}),
        ({"password": 1234, "token": 1.5, "secret": b"x"}, {"password": MASK, "token": MASK, "secret": MASK}),
        ({"password": None, "token": "", "secret": False}, {"password": None, "token": "", "secret": False}),
        ({"password": float("nan")}, {"password": MASK}),
        ({"note": f"the password is {SECRET}"}, {"note": f"the password is {SECRET}"}),
    ],
)
def test_members_are_masked_wherever_they_stand(value: dict[Any, Any], expected: dict[str, Any]) -> None:
    assert details_of(value) == expected
    assert details_of(value, on_unrecordable="raise") == expected


def test_a_secret_is_not_even_looked_at() -> None:
    hidden = Hidden()
    assert details_of({"password": hidden, "other": 1}) == {"password": MASK, "other": 1}
    assert not hidden.seen


def test_masking_can_be_turned_off() -> None:
    assert details_of({"password": SECRET}, redact=None) == {"password": SECRET}


def test_what_is_too_large_is_cut_after_masking() -> None:
    observer = observe()
    observer.record_side_effect("other", "x", None, details={"password": SECRET, "rest": "x" * 2**20})
    other = observe()
    other.record_side_effect("other", "x", None, details={"password": "another", "rest": "x" * 2**20})
    first, second = (events_of(one)[-1]["details"] for one in (observer, other))
    assert first == second
    assert list(first) == ["hearth_cut"]


def test_a_function_sees_each_member_once_as_it_was_passed() -> None:
    seen: list[tuple[str, Any]] = []

    def redact(name: str, value: Any) -> Any:
        seen.append((name, value))
        return value

    inner = {"c": [1, {"d": 1.5}]}
    details_of({"a": 1, "b": inner}, redact=redact)
    assert seen == [("a", 1), ("b", inner), ("c", inner["c"]), ("d", 1.5)]


def test_what_a_function_gives_is_looked_at_in_turn() -> None:
    def redact(name: str, value: Any) -> Any:
        return {"user": "ada", "inner": SECRET} if name == "login" else MASK if value == SECRET else value

    assert details_of({"login": "x"}, redact=redact) == {"login": {"user": "ada", "inner": MASK}}


@pytest.mark.parametrize("fault", [ValueError, RecursionError, MemoryError, KeyError, AssertionError])
def test_a_function_that_fails_masks(fault: type[Exception]) -> None:
    def redact(name: str, value: Any) -> Any:
        if name == "bad":
            raise fault(value)
        return value

    assert details_of({"bad": SECRET, "good": {"bad": [SECRET]}, "c": 1}, redact=redact) == {
        "bad": MASK,
        "good": {"bad": MASK},
        "c": 1,
    }


@pytest.mark.parametrize("result", [object(), float("nan"), {"_sd": 1}, "\ud800", b"x"])
def test_a_function_that_gives_what_cannot_be_recorded_is_marked(result: object) -> None:
    assert "hearth_unrecordable" in json.dumps(details_of({"a": SECRET, "b": [1.5]}, redact=lambda *_: result))


# --- an execution ----------------------------------------------------------------------------------------------------


def run_with_secrets(observer: ExecutionObserver, kernel: HearthKernel) -> None:
    """Pass a secret wherever a call takes details, up to a refused start and a refused end."""
    details = {"dbPassword": SECRET, "nested": [{"API_KEY": SECRET}], "login": Login("ada", SECRET)}
    observer.record_step_started(0, "Deploy", details)
    observer.record_side_effect("other", "x", None, details=details)
    observer.record_security_observed("midway", details)
    observer.record_step_completed(0, "Deploy", details)
    with observer.step(1, "Migrate", details) as step:
        step.details.update(details)
        step.record_side_effect("other", "y", None, details)
    observer.record_step_started(2, "Check", details)
    observer.record_step_failed(2, "Check", "no", details)
    kernel.trigger_kill_switch("alarm")
    with pytest.raises(SecurityEscalationError):
        observer.record_step_started(3, "Tidy", details, phase="cleanup")
    with pytest.raises(SecurityEscalationError):
        observer.mark_failed("no", details)
    observer.mark_incomplete_security_escalation("alarm", details)


def test_a_secret_stands_nowhere_in_a_record(tmp_path: Path) -> None:
    kernel = HearthKernel()
    observer = observe(kernel=kernel, details={"password": SECRET})
    run_with_secrets(observer, kernel)
    in_memory = observer.seal(signer(), sealed_at="2026-11-22T17:00:00.000000Z").data
    kernel = HearthKernel()
    with Journal.create(tmp_path, "exec-1") as journal:
        observer = observe(kernel=kernel, details={"password": SECRET}, journal=journal)
        run_with_secrets(observer, kernel)
        written = (tmp_path / "exec-1.journal").read_bytes()
        sealed = observer.seal(signer(), sealed_at="2026-11-22T17:00:00.000000Z").data
    for data in (in_memory, written, sealed):
        assert SECRET.encode() not in data
        assert data.count(f'"dbPassword":"{MASK}"'.encode()) == 12
    assert sealed == in_memory


def test_without_redaction_it_stands_there() -> None:
    observer = observe(redact=None, details={"password": SECRET})
    assert events_of(observer)[0]["details"] == {"password": SECRET}


def test_a_resumed_journal_masks_too(tmp_path: Path) -> None:
    with Journal.create(tmp_path, "exec-1") as journal:
        observe(journal=journal)
    for redact, expected in ((mask_secrets, MASK), (None, SECRET), (lambda *_: "mine", "mine")):
        with Journal.open(tmp_path / "exec-1.journal") as journal:
            observer = ExecutionObserver.resume(journal, HearthKernel(), redact=redact)
            observer.record_side_effect("other", "x", None, details={"password": SECRET})
            assert json.loads(journal.read()[-1])["details"] == {"password": expected}


def scrub(_name: str, value: Any) -> Any:
    """Take the secret out of every text."""
    return value.replace(SECRET, "***") if isinstance(value, str) else value


def record_texts(observer: ExecutionObserver, kernel: HearthKernel) -> list[dict[str, Any]]:
    """Pass a secret in every text of every call; return the events."""
    text = f"a {SECRET} b"
    observer.record_step_started(0, text, {"note": [text, {"x": text}]})
    observer.record_side_effect("other", text, None, 0)
    observer.record_security_observed(text)
    observer.record_step_failed(0, text, text)
    with pytest.raises(ValueError, match=SECRET), observer.step(1, "b", phase="cleanup"):
        raise ValueError(text)
    kernel.trigger_kill_switch("alarm")
    with pytest.raises(SecurityEscalationError):
        observer.record_step_started(2, text, phase="cleanup")
    with pytest.raises(SecurityEscalationError):
        observer.mark_failed(text)
    observer.mark_incomplete_security_escalation(text)
    return events_of(observer)


def test_a_function_sees_the_texts_of_every_call_by_their_names() -> None:
    names: list[str] = []

    def redact(name: str, value: Any) -> Any:
        names.append(name)
        return scrub(name, value)

    kernel = HearthKernel()
    observer = observe(kernel=kernel, redact=redact, reason=f"for {SECRET}", change_ref=SECRET)
    events = record_texts(observer, kernel)
    assert {"reason", "change_ref", "step_name", "description", "context", "error_message", "completion_reason"} <= {
        *names
    }
    assert (events[0]["reason"], events[0]["change_ref"]) == ("for ***", "***")
    assert (events[1]["step_name"], events[4]["error_message"]) == ("a *** b", "a *** b")
    assert events[6]["error_message"] == "ValueError: a *** b"
    # A list's items have no name of their own: the list is what a function is asked about.
    assert events[1]["details"] == {"note": [f"a {SECRET} b", {"x": "a *** b"}]}
    del events[1]["details"]
    assert SECRET not in json.dumps(events)


def test_a_function_that_fails_on_a_text_masks_it_and_the_execution_goes_on() -> None:
    def redact(_name: str, _value: Any) -> Any:
        raise ValueError(SECRET)

    kernel = HearthKernel()
    events = record_texts(observe(kernel=kernel, redact=redact, reason=SECRET), kernel)
    assert (events[0]["reason"], events[1]["step_name"], events[4]["error_message"]) == (MASK, MASK, MASK)
    assert SECRET not in json.dumps(events)


@pytest.mark.parametrize(
    ("given", "expected"), [("", "(no name)"), (None, "(no name)"), (7, "7"), ("\ud800", "\\ud800")]
)
def test_a_function_may_give_anything_for_a_text(given: object, expected: str) -> None:
    observer = observe(redact=lambda _name, _value: given)
    observer.record_step_started(0, "x")
    assert events_of(observer)[-1]["step_name"] == expected


def test_a_long_text_is_cut_and_hashed_after_the_function_saw_it() -> None:
    """Else the secret behind the cut would stand in the hash, and the one across it in part."""
    texts = []
    for secret in (SECRET, "another-secret"):
        observer = observe(redact=lambda _name, value, secret=secret: value.replace(secret, "***"))
        observer.record_side_effect("other", "x" * (MAX_TEXT - 90) + secret + "y" * MAX_TEXT + secret, None)
        texts.append(events_of(observer)[-1]["description"])
    assert texts[0] == texts[1]
    assert len(texts[0]) == MAX_TEXT


def test_masking_by_name_leaves_texts_and_errors_alone() -> None:
    observer = observe()
    observer.record_step_started(0, f"password {SECRET}")
    assert events_of(observer)[-1]["step_name"] == f"password {SECRET}"


def test_an_error_about_details_does_not_say_what_they_hold() -> None:
    observer = observe(on_unrecordable="raise")
    with pytest.raises(RecordingError) as caught:
        observer.record_step_started(0, "x", {"note": Hidden()})
    assert SECRET not in str(caught.value)
