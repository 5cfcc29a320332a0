"""The scan finds sensitive text where logs hide it, and leaves alone what only looks like it."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tasks.redact.scan import JSON, KEPT, TEXT, Mode, Scanner

AWS_KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl"


def scanned(text: str, mode: Mode = TEXT) -> str:
    (column,) = Scanner().scan([pl.Series([text])], mode)
    return str(column[0])


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("mail to bob@example.org, ann@example.org", "mail to [email], [email]"),
        ("q=bob%40example.org", "q=[email]"),
        ("%22bob@example.org%22", "%22[email]%22"),
        ("from <josé.ñ@exämple.org>", "from <[email]>"),
        ("from 203.0.113.9", "from [ip]"),
        ("203.0.113.9:443 198.51.100.7,192.0.2.1", "[ip]:443 [ip],[ip]"),
        ("http://203.0.113.9/x", "http://[ip]/x"),
        ("/203.0.113.9:51000 closed", "/[ip]:51000 closed"),
        ("GET /hosts/203.0.113.9/up", "GET /hosts/[ip]/up"),
        ("%22203.0.113.9%22", "%22[ip]%22"),
        ("client:203.0.113.9", "client:[ip]"),
        ("203.0.113.9-203.0.113.20", "[ip]"),
        ("peer 2001:db8:1:2::3 and fe80::1", "peer [ip] and [ip]"),
        ("client:2001:db8:1:2:3:4:5:6", "client:[ip]"),
        ("ip=2001%3Adb8%3A1%3A2%3A%3A3&v=1", "ip=[ip]&v=1"),
        ("203.0.113.9é", "[ip]é"),
        ("::ffff:203.0.113.9", "::ffff:[ip]"),
        ("ip-203-0-113-9.ec2.internal", "ip-[ip].ec2.internal"),
        ("tel +1-202-555-0123.", "tel [phone]."),
        ("tel=%2B1-202-555-0123", "tel=[phone]"),
        ("call (202) 555-0123 or 202-555-0123", "call [phone] or [phone]"),
        ("card 4111 1111 1111 1111 ok", "card [card] ok"),
        ("pan 4111111111111111, 378282246310005", "pan [card], [card]"),
        ("x%224111111111111111%22", "x%22[card]%22"),
        ("to DE89 3704 0044 0532 0130 00 FAILED", "to [iban] FAILED"),
        ("number 078-05-1120", "number [ssn]"),
        ("nic a1:b2:c3:d4:e5:f6", "nic [mac]"),
        (f"id {AWS_KEY} and %22{AWS_KEY}%22", "id [aws_id] and %22[aws_id]%22"),
        ("AROAABCDEFGHIJKLMNOPQ:bob", "[aws_id]"),
        ("arn:aws:iam::123456789012:user/team/bob", "arn:aws:iam::123456789012:user/[user]"),
        (
            "arn%3Aaws%3Aiam%3A%3A123456789012%3Auser%2Fbob",
            "arn%3Aaws%3Aiam%3A%3A123456789012%3Auser%2F[user]",
        ),
        (
            "arn:aws:sts::123456789012:assumed-role/Admin/bob@example.org",
            "arn:aws:sts::123456789012:assumed-role/Admin/[user]",
        ),
        ("login failed for user alice.smith12 from x", "login failed for user [user] from x"),
        ("Accepted password for bob from 203.0.113.9", "Accepted password for [user] from [ip]"),
        ("GET /users/alice.smith12/profile", "GET /users/[user]/profile"),
        ("open /home/bob/.ssh/config", "open /home/[user]/.ssh/config"),
        ("/x?user=bob&page=2", "/x?user=[user]&page=2"),
        ("User: arn:aws:iam::1234:user/bob is not", "User: arn:aws:iam::1234:user/[user] is not"),
        ("user: alice.smith12", "user: [user]"),
    ],
)
def test_personal_data_is_replaced(text: str, result: str) -> None:
    assert scanned(text) == result


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows; U; Windows NT 6.1; rv:1.9.2.13) Gecko/20101203",
        "Chrome%2F120.0.0.0",
        "release v1.2.3.4",
        "arn:aws:iam::123456789012:role/service-role/Deploy",
        "AWS::KMS::Key",
        "arn:aws:s3:::bucket/key",
        "2026-11-03T10:30:00.123+01:00",
        "trace 4111111111111112 span 1234567890123",
        "55555555-5555-5555-5555-555555555555",
        "password reset mail sent",
        "basic authentication and bearer authentication",
        "https://host:80/:test@",
        "tokens are counted, secrets are not",
        "300.1.2.3",
        '{"cidrIp":"0.0.0.0/0"}',
        "listening on 127.0.0.1:8080",
        "waiting for response from upstream",
    ],
)
def test_lookalikes_stay(text: str) -> None:
    assert scanned(text) == text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Authorization: Bearer abc.def", "Authorization: [secret]"),
        ("curl -H 'authorization: Basic dXNlcjpwYXNz'", "curl -H 'authorization: [secret]'"),
        ("sent Bearer abcdefghijklmnop012", "sent Bearer [secret]"),
        (f"jwt {TOKEN} end", "jwt [jwt] end"),
        ("https://bob:hunter2@host/", "https://bob:[secret]@host/"),
        (
            "/cb?access_token=abc&state=1&client_secret=d%2Fe",
            "/cb?access_token=[secret]&state=1&client_secret=[secret]",
        ),
        ("password=hunter2 next", "password=[secret] next"),
        ('db.password="two words" next', 'db.password="[secret]" next'),
        (
            "X-Amz-Security-Token=abc&X-Amz-Signature=def",
            "X-Amz-Security-Token=[secret]&X-Amz-Signature=[secret]",
        ),
        ("{'password': 'hunter2'}", "{'password': '[secret]'}"),
        ("%7B%22password%22%3A%22hunter2%22%7D", "%7B%22password%22%3A%22[secret]%22%7D"),
        (
            "k -----BEGIN EC PRIVATE KEY-----\nMHcC\nAQEE\n-----END EC PRIVATE KEY----- z",
            "k [private_key] z",
        ),
    ],
)
@pytest.mark.parametrize("mode", [KEPT, TEXT])
def test_credentials_are_replaced_in_any_text(text: str, result: str, mode: Mode) -> None:
    expected = result if mode is KEPT else result.replace("user=bob", "user=[user]")
    assert scanned(text, mode) == expected


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"sessionToken": "abc", "n": 1}, {"sessionToken": "[secret]", "n": 1}),
        ({"a": {"masterUserPassword": 'p"q\\'}}, {"a": {"masterUserPassword": "[secret]"}}),
        ({"headers": {"Authorization": ["Bearer x", "y"]}}, {"headers": {"Authorization": "[secret]"}}),
        ({"otp": 123456}, {"otp": "[secret]"}),
        (
            {"userName": "bob", "passwordResetRequired": True},
            {"userName": "[user]", "passwordResetRequired": True},
        ),
        ({"phoneNumber": "2025550123"}, {"phoneNumber": "[phone]"}),
        ({"sourceIPAddress": "203.0.113.9"}, {"sourceIPAddress": "[ip]"}),
        ({"sourceIPAddress": "s3.amazonaws.com"}, {"sourceIPAddress": "s3.amazonaws.com"}),
        ({"note": "first\nbob@example.org"}, {"note": "first\n[email]"}),
        ({"note": "tab\t203.0.113.9"}, {"note": "tab\t[ip]"}),
        ({"user": None, "name": "", "secret": ""}, {"user": None, "name": "", "secret": ""}),
        ({"keyPairId": "x", "nextToken": "abc"}, {"keyPairId": "x", "nextToken": "abc"}),
    ],
)
def test_json_is_read_by_its_keys(value: object, result: object) -> None:
    assert json.loads(scanned(json.dumps(value), JSON)) == result


def test_the_outcome_of_a_login_is_no_name() -> None:
    assert scanned('{"ConsoleLogin":"Success","x.login":"b","userLogin":"c","login":"d"}', JSON) == (
        '{"ConsoleLogin":"Success","x.login":"[user]","userLogin":"[user]","login":"[user]"}'
    )


def test_json_inside_strings_is_reached() -> None:
    inner = json.dumps({"password": 'a"b\\c', "userName": "bob", "at": "x\nbob@example.org", "ok": 1})
    outer = json.dumps({"body": inner, "deep": json.dumps({"more": inner})})
    result = json.loads(scanned(outer, JSON))
    assert json.loads(result["body"]) == {
        "password": "[secret]",
        "userName": "[user]",
        "at": "x\n[email]",
        "ok": 1,
    }
    assert "bob" not in result["deep"]


def test_url_encoded_policy_document_is_reached() -> None:
    text = f"%7B%22AWS%22%3A%22arn:aws:iam::123456789012:user/bob%22%2C%22id%22%3A%22{AWS_KEY}%22%7D"
    assert scanned(json.dumps({"p": text}), JSON) == json.dumps(
        {"p": "%7B%22AWS%22%3A%22arn:aws:iam::123456789012:user/[user]%22%2C%22id%22%3A%22[aws_id]%22%7D"}
    )


def test_json_that_a_replacement_would_break_is_replaced_whole() -> None:
    scanner = Scanner(["lice\\u0041"])
    (column,) = scanner.scan([pl.Series(['{"a":"x\\\\lice\\u0041"}'])], JSON)
    assert json.loads(column[0])


def test_hits_count_rows_although_repeated_texts_are_scanned_once() -> None:
    scanner = Scanner()
    texts = pl.Series("note", ["to bob@example.org"] * 50 + ["nothing"] * 50 + [None])
    (column,) = scanner.scan([texts], TEXT)
    assert scanner.hits == {("note", "email"): 50}
    assert column.to_list() == ["to [email]"] * 50 + ["nothing"] * 50 + [None]


def test_columns_scanned_together_come_back_apart() -> None:
    columns = [
        pl.Series("a", ["x"] * 10),
        pl.Series("b", [f"{number}@example.org" for number in range(10)]),
        pl.Series("c", [None] * 10, dtype=pl.String),
        pl.Series("d", [], dtype=pl.String),
    ]
    result = Scanner().scan(columns, TEXT)
    assert [column.name for column in result] == ["a", "b", "c", "d"]
    assert [column.to_list() for column in result] == [["x"] * 10, ["[email]"] * 10, [None] * 10, []]
