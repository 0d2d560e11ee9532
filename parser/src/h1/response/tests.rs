use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 8 };

type Summary = (u16, String, ResponseBody, usize, usize);

fn read(buf: &[u8], method: Method) -> Result<Option<Summary>, HeadError> {
    let mut slots = FieldSlots::new();
    let Parsed::Complete(head) = parse(buf, &mut slots, &LIMITS, method)? else { return Ok(None) };
    Ok(Some((head.status, head.reason.into(), head.body, head.fields.len(), head.head_len)))
}

/// The verdict on the whole, and on every growing prefix: the first that is not partial must be the same.
#[track_caller]
fn verdict(wire: &[u8], method: Method) -> Result<Option<Summary>, HeadError> {
    let whole = read(wire, method);
    let prefixes = (0..=wire.len()).map(|end| read(&wire[..end], method));
    let grown = prefixes.into_iter().find(|read| *read != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(grown, whole, "{:?} byte by byte, then at once", String::from_utf8_lossy(wire));
    whole
}

#[track_caller]
fn accept(wire: &str, method: Method, status: u16, reason: &str, body: ResponseBody) {
    let found = verdict(wire.as_bytes(), method).map(|found| found.map(|found| (found.0, found.1, found.2)));
    assert_eq!(found, Ok(Some((status, reason.into(), body))), "{wire:?}");
}

#[track_caller]
fn refuse(wire: &str, expect: impl Into<HeadError>) {
    assert_eq!(verdict(wire.as_bytes(), Method::Get), Err(expect.into()), "{wire:?}");
}

fn with(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")
}

#[test]
fn heads_are_read_with_the_framing_of_their_body() {
    use ResponseBody::*;
    accept("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Method::Get, 200, "OK", Length(5));
    accept("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::Get, 200, "OK", Chunked);
    accept("HTTP/1.0 200 OK\r\n\r\n", Method::Get, 200, "OK", Close);
    accept("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::Head, 200, "OK", None);
    accept("HTTP/1.1 204 No Content\r\n\r\nevil", Method::Get, 204, "No Content", None);
    accept("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", Method::Get, 103, "Early Hints", None);
    accept("HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", Method::Get, 299, "", Length(0));
    accept("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", Method::Get, 404, "", Length(0));
    accept("HTTP/1.1 404 gefäß\r\nContent-Length: 0\r\n\r\n", Method::Get, 404, "", Length(0));
}

#[test]
fn the_status_line_has_one_form() {
    refuse("\r\nHTTP/1.1 200 OK\r\n\r\n", Bad::LeadingLines);
    refuse("HTTP/2.0 200 OK\r\n\r\n", Bad::Version);
    refuse("ICY 200 OK\r\n\r\n", Bad::Version);
    refuse("HTTP/1.1\r\n\r\n", Bad::Version);
    refuse("HTTP/1.1 20 OK\r\n\r\n", Bad::StatusLine);
    refuse("HTTP/1.1 2000 OK\r\n\r\n", Bad::StatusLine);
    refuse("HTTP/1.1 abc OK\r\n\r\n", Bad::StatusLine);
    refuse("HTTP/1.1 099 OK\r\n\r\n", Bad::StatusLine);
    refuse("HTTP/1.1  200 OK\r\n\r\n", Bad::StatusLine);
    refuse("HTTP/1.1 200 O\0K\r\n\r\n", Bad::StatusLine);
}

#[test]
fn fields_are_as_strict_as_in_requests() {
    refuse("HTTP/1.1 200 OK\nA: b\r\n\r\n", Bad::LineEnd);
    refuse("HTTP/1.1 200\n\r\n", Bad::LineEnd);
    refuse(&with("A: b\nSet-Cookie: evil"), Bad::LineEnd);
    refuse(&with("A: b\r\n c"), Bad::FieldName);
    refuse(&with("Content-Length : 5"), Bad::FieldName);
    refuse(&with("A: a\rb"), Bad::FieldValue);
    refuse(&with("Content-Length: "), Bad::ContentLength);
    refuse(&with("Content-Length: 5\r\nContent-Length: 5"), Bad::ContentLengthRepeated);
    refuse(&with("Content-Length: 5\r\nTransfer-Encoding: chunked"), Bad::TwoFramings);
    refuse(&with("Transfer-Encoding: gzip"), HeadError::UnknownTransferCoding);
    refuse(&with(&"A: b\r\n".repeat(LIMITS.fields + 1)), HeadError::TooManyFields);
    refuse(&with(&format!("A: {}", "b".repeat(LIMITS.bytes))), HeadError::TooLarge);
}

#[test]
fn only_101_ends_the_interim_responses_early() {
    for (status, interim) in
        [(100, true), (101, false), (102, true), (103, true), (199, true), (200, false), (500, false)]
    {
        let wire = format!("HTTP/1.1 {status} x\r\n\r\n");
        let mut slots = FieldSlots::new();
        let Ok(Parsed::Complete(head)) = parse(wire.as_bytes(), &mut slots, &LIMITS, Method::Get) else { panic!() };
        assert_eq!(head.is_interim(), interim, "{status}");
    }
}
