use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 8 };

/// What a test compares: method, target, host, body, head length and the facts that are true.
type Summary = (String, String, String, RequestBody, usize, String);

fn read(buf: &[u8]) -> Result<Option<Summary>, HeadError> {
    let mut slots = FieldSlots::new();
    let Parsed::Complete(head) = parse(buf, &mut slots, &LIMITS)? else { return Ok(None) };
    let facts = [
        ("1.0", head.version == Version::H10),
        ("close", head.connection.close),
        ("keep-alive", head.connection.keep_alive),
        ("upgrade", head.upgrade),
        ("expect", head.expect_continue),
    ];
    let facts: Vec<_> = facts.iter().filter(|fact| fact.1).map(|fact| fact.0).collect();
    let host = head.host.map_or("", |host| str::from_utf8(host.text).unwrap());
    Ok(Some((head.method_text.into(), head.target_text.into(), host.into(), head.body, head.head_len, facts.join(" "))))
}

/// The verdict on the whole, and on every growing prefix: the first that is not partial must be the same.
#[track_caller]
fn verdict(wire: &[u8]) -> Result<Option<Summary>, HeadError> {
    let whole = read(wire);
    let grown = (0..=wire.len()).map(|end| read(&wire[..end])).find(|read| *read != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(grown, whole, "{:?} byte by byte, then at once", String::from_utf8_lossy(wire));
    whole
}

#[track_caller]
fn accept(wire: &str, method: &str, target: &str, host: &str, body: RequestBody, facts: &str) {
    let head_len = wire.find("¶").unwrap_or(wire.len());
    let expect = (method.into(), target.into(), host.into(), body, head_len, facts.into());
    assert_eq!(verdict(wire.replace('¶', "").as_bytes()), Ok(Some(expect)));
}

#[track_caller]
fn refuse(wire: &str, expect: impl Into<HeadError>) {
    assert_eq!(verdict(wire.as_bytes()), Err(expect.into()), "{wire:?}");
}

/// A request whose field section has `lines` after Host.
fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

/// Which fields of a head are written as we would write them.
#[track_caller]
fn check_lines(lines: &str, clean: &[&str]) {
    let (wire, mut slots) = (with(lines), FieldSlots::new());
    let Ok(Parsed::Complete(head)) = parse(wire.as_bytes(), &mut slots, &LIMITS) else { panic!("{lines:?}") };
    let found: Vec<_> = head
        .fields
        .iter()
        .skip(1)
        .filter_map(|field| head.fields.line(&field).map(|line| head.fields.lines(line)))
        .collect();
    let expect: Vec<_> = clean.iter().map(|line| format!("{line}\r\n").into_bytes()).collect();
    assert_eq!(found, expect, "{lines:?}");
}

#[test]
fn a_line_without_odd_whitespace_can_be_passed_on_as_it_is() {
    check_lines("A: b", &["A: b"]);
    check_lines("A: b c\r\nLong-Name: d", &["A: b c", "Long-Name: d"]);
    check_lines("A: ", &["A: "]);
    for odd in ["A:b", "A:  b", "A:\tb", "A: b ", "A: b\t", "A:", "A:  "] {
        check_lines(odd, &[]);
        check_lines(&format!("{odd}\r\nC: d"), &["C: d"]);
    }
}

#[test]
fn heads_are_read_with_what_a_proxy_needs_to_know() {
    use RequestBody::*;
    accept("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", None, "");
    accept("GET /?q HTTP/1.1\r\nhOST:a:80\t \r\n\r\n¶GET /", "GET", "/?q", "a:80", None, "");
    accept("PURGE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n¶{}", "PURGE", "/x", "a", Length(12), "");
    accept("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n¶0", "POST", "/", "a", Chunked, "");
    accept("GET / HTTP/1.0\r\n\r\n", "GET", "/", "", None, "1.0");
    accept("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "http://b/", "b", None, "");
    accept("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "a", None, "");
    accept("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT", "a:1", "a", None, "");
    accept(&with("Connection: close"), "POST", "/", "a", None, "close");
    accept(&with("Expect: 100-Continue"), "POST", "/", "a", None, "expect");
    accept(&with("Connection: Upgrade\r\nUpgrade: websocket"), "POST", "/", "a", None, "upgrade");
    accept(&with("Upgrade: websocket"), "POST", "/", "a", None, "");
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n\r\n";
    accept(old, "GET", "/", "", None, "1.0 keep-alive");
}

#[test]
fn a_few_empty_lines_before_the_request_line_are_skipped() {
    accept("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", RequestBody::None, "");
    accept("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", RequestBody::None, "");
    refuse("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Bad::LeadingLines);
    refuse("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Bad::LeadingLines);
    refuse("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Bad::LeadingLines);
}

#[test]
fn the_request_line_has_one_form() {
    refuse(" GET / HTTP/1.1\r\n\r\n", Bad::Method);
    refuse("GE(T / HTTP/1.1\r\n\r\n", Bad::Method);
    refuse("G\0T / HTTP/1.1\r\n\r\n", Bad::Method);
    refuse("GET\r\n\r\n", Bad::Method);
    refuse("GET  / HTTP/1.1\r\n\r\n", Bad::Target);
    refuse("GET\t/ HTTP/1.1\r\n\r\n", Bad::Method);
    refuse("GET /\t HTTP/1.1\r\n\r\n", Bad::Target);
    refuse("GET /\x7f HTTP/1.1\r\n\r\n", Bad::Target);
    refuse("GET /\rx HTTP/1.1\r\n\r\n", Bad::Target);
    refuse("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", Bad::Target);
    refuse("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", Bad::Target);
    refuse("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Bad::Target);
    refuse("GET /\r\n\r\n", Bad::Target);
    refuse("GET / a HTTP/1.1\r\n\r\n", Bad::Version);
    refuse("GET /  HTTP/1.1\r\n\r\n", Bad::Version);
    refuse("GET / http/1.1\r\n\r\n", Bad::Version);
    refuse("GET / HTTP/1.\r\n\r\n", Bad::Version);
    refuse("GET / HTTP/11\r\n\r\n", Bad::Version);
    refuse("GET / HTTP/2.0\r\n\r\n", HeadError::UnsupportedVersion);
    refuse("GET / HTTP/1.2\r\n\r\n", HeadError::UnsupportedVersion);
    refuse("GET / HTTP/0.9\r\n\r\n", HeadError::UnsupportedVersion);
    refuse("GET / HTTP/1.1 \r\n\r\n", Bad::LineEnd);
    refuse("GET / HTTP/1.10\r\n\r\n", Bad::LineEnd);
}

#[test]
fn every_line_ends_in_cr_lf() {
    refuse("GET / HTTP/1.1\nHost: a\n\n", Bad::LineEnd);
    refuse("GET / HTTP/1.1\nHost: a\r\n\r\n", Bad::LineEnd);
    refuse("GET / HTTP/1.1\rHost: a\r\n\r\n", Bad::LineEnd);
    refuse("GET / HTTP/1.1\r\nHost: a\n\r\n", Bad::LineEnd);
    refuse("GET / HTTP/1.1\r\nHost: a\r\n\n", Bad::LineEnd);
    refuse("GET / HTTP/1.0\n\r\n", Bad::LineEnd);
    refuse("GET / HTTP/1.0\r\n\n", Bad::LineEnd);
    refuse(&with("X: y\nTransfer-Encoding: chunked"), Bad::LineEnd);
    refuse(&with("X:\nY: z"), Bad::LineEnd);
    refuse(&with("X: y\rZ: z"), Bad::FieldValue);
    refuse(&with("X: y\r"), Bad::FieldValue);
}

#[test]
fn fields_are_tokens_and_visible_values() {
    for line in
        ["X : y", "X\t: y", " X: y", "\tX: y", "X", ": y", "X Y: z", "X(: y", "X@: y", "é: y", "X\0: y", "X: y\r\n z"]
    {
        refuse(&with(line), Bad::FieldName);
    }
    for line in ["X: \0", "X: a\x01b", "X: \x7f", "X: \x1b[0m", "X: a\x0b"] {
        refuse(&with(line), Bad::FieldValue);
    }
    for line in ["X: é", "X:", "X: \t ", "X: a\tb", "X:  \t b c \t ", "!#$%&'*+-.^_`|~: 1"] {
        accept(&with(line), "POST", "/", "a", RequestBody::None, "");
    }
}

#[test]
fn host_appears_exactly_once_and_is_a_host() {
    refuse("GET / HTTP/1.1\r\n\r\n", Bad::HostMissing);
    refuse("GET http://a/ HTTP/1.1\r\n\r\n", Bad::HostMissing);
    refuse(&with("Host: a"), Bad::HostRepeated);
    refuse("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Bad::HostRepeated);
    refuse("GET / HTTP/1.1\r\nHost:\r\n\r\n", Bad::HostInvalid);
    refuse("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Bad::HostInvalid);
    refuse("GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", Bad::HostInvalid);
}

#[test]
fn framing_errors_refuse_the_head() {
    refuse(&with("Content-Length: 1\r\nTransfer-Encoding: chunked"), Bad::TwoFramings);
    refuse(&with("Content-Length: 1\r\nContent-Length: 1"), Bad::ContentLengthRepeated);
    refuse(&with("Transfer-Encoding: gzip, chunked"), HeadError::UnknownTransferCoding);
    refuse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Bad::TransferEncodingInHttp10);
}

#[test]
fn heads_have_limits() {
    let head = |len: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(len - 32));
    accept(&head(LIMITS.bytes), "GET", "/", "a", RequestBody::None, "");
    refuse(&head(LIMITS.bytes + 1), HeadError::TooLarge);
    // A bad byte beyond the limit must not change the verdict.
    refuse(&(head(LIMITS.bytes + 100) + "\0"), HeadError::TooLarge);
    refuse(&format!("GET /{}", "x".repeat(2000)), HeadError::TargetTooLong);
    refuse(&with(&"X: y\r\n".repeat(LIMITS.fields)), HeadError::TooManyFields);
    refuse(&format!("{} / HTTP/1.1\r\n", "A".repeat(Method::BYTES_MAX + 1)), HeadError::MethodTooLong);
    refuse(&format!("{}\n\n", "A".repeat(Method::BYTES_MAX + 1)), HeadError::MethodTooLong);
    let method = "A".repeat(Method::BYTES_MAX);
    accept(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"), &method, "/", "a", RequestBody::None, "");
}

#[test]
fn no_cut_of_a_stream_of_other_protocols_is_taken_for_a_request() {
    refuse("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::UnsupportedVersion);
    refuse("\x16\x03\x01\x00\u{5}\x01", Bad::Method);
    refuse("SSH-2.0-x\r\n", Bad::Method);
}
