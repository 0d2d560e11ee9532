//! Answers of our own: short pages for errors, and redirects. They name nothing of what is behind the proxy.

use super::error::{Cause, Error};
use super::headers::{HSTS, connection_field, write_field, write_number};
use crate::model::Redirect;
use ringferry_parser::h1::{Fields, Known, Method, RequestHead, Target, Version, list};

/// What a page depends on besides its status. Where no request could be read, [`PageCx::unread`].
#[derive(Clone, Copy, Debug)]
pub struct PageCx<'a> {
    /// The client prefers HTML; see [`accepts_html`].
    pub html: bool,
    /// The request was HEAD: the answer ends with its head.
    pub is_head: bool,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
    /// The version that the client speaks.
    pub client_version: Version,
    /// The time, as an IMF-fixdate.
    pub date: &'a [u8],
    /// `Strict-Transport-Security`, where the site wants it and the client came by TLS.
    pub hsts: Option<&'a str>,
}

impl<'a> PageCx<'a> {
    /// For the answer to `head`.
    pub fn new(head: &RequestHead<'_, '_>, keep_alive: bool, date: &'a [u8]) -> PageCx<'a> {
        PageCx {
            html: accepts_html(&head.fields),
            is_head: head.method == Method::Head,
            keep_alive,
            client_version: head.version,
            date,
            hsts: None,
        }
    }

    /// For a request that could not be read: plain text, then the connection ends.
    pub fn unread(date: &'a [u8]) -> PageCx<'a> {
        PageCx { html: false, is_head: false, keep_alive: false, client_version: Version::H11, date, hsts: None }
    }
}

/// Whether `Accept` names HTML, as browsers do; `*/*` alone is a program.
pub fn accepts_html(fields: &Fields<'_, '_>) -> bool {
    fields.all(Known::Accept).flat_map(list).any(|kind| {
        let name = kind.split(|&byte| byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"text/html")
    })
}

/// Writes the page of an error: head and body. Returns the bytes of the body, as all of these do.
pub fn write_page(status: u16, error: &Error, cx: &PageCx<'_>, out: &mut Vec<u8>) -> u64 {
    let (reason, usual) = words(status);
    let body = error_body(status, reason, way_out(error.cause).unwrap_or(usual), cx.html);
    let retry_after = error.retry_after_s().map(|seconds| seconds.to_string());
    let retry_after = retry_after.iter().map(|seconds| ("Retry-After", seconds.as_bytes()));
    // Some of these statuses may be cached by default; none of them should outlive its cause.
    let fields: Vec<_> = [("Cache-Control", &b"no-store"[..])].into_iter().chain(retry_after).collect();
    write(status, &fields, &body, cx, out)
}

/// Writes a 405 with the methods that are served.
pub fn write_not_allowed(allow: &str, cx: &PageCx<'_>, out: &mut Vec<u8>) -> u64 {
    let (reason, sentence) = words(405);
    write(405, &[("Allow", allow.as_bytes())], &error_body(405, reason, sentence, cx.html), cx, out)
}

/// Writes a redirect, path and query of the request behind it where the configuration says so.
pub fn write_redirect(redirect: &Redirect, target: &Target<'_>, cx: &PageCx<'_>, out: &mut Vec<u8>) -> u64 {
    let mut location = redirect.to.clone();
    if redirect.keep_path {
        location.truncate(location.trim_end_matches('/').len());
        location.push_str(target.path());
        if let Some(query) = target.query() {
            location.push('?');
            location.push_str(query);
        }
    }
    let (reason, _) = words(redirect.status);
    let body = if cx.html {
        let link = escape(&location);
        html(redirect.status, reason, &format!("<p><a href=\"{link}\">{link}</a></p>"))
    } else {
        format!("{} {reason}\n{location}\n", redirect.status)
    };
    write(redirect.status, &[("Location", location.as_bytes())], &body, cx, out)
}

fn error_body(status: u16, reason: &str, sentence: &str, as_html: bool) -> String {
    if as_html {
        html(status, reason, &format!("<p>{sentence}</p>"))
    } else {
        format!("{status} {reason}\n{sentence}\n")
    }
}

/// Writes head and body; `fields` are those that this kind of answer needs.
fn write(status: u16, fields: &[(&str, &[u8])], body: &str, cx: &PageCx<'_>, out: &mut Vec<u8>) -> u64 {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", words(status).0).as_bytes());
    write_field("Date", cx.date, out);
    let kind: &[u8] = if cx.html { b"text/html; charset=utf-8" } else { b"text/plain; charset=utf-8" };
    write_field("Content-Type", kind, out);
    for (name, value) in fields {
        write_field(name, value, out);
    }
    if let Some(hsts) = cx.hsts {
        write_field(HSTS, hsts.as_bytes(), out);
    }
    write_number(b"Content-Length: ", body.len() as u64, out);
    out.extend_from_slice(connection_field(cx.keep_alive, cx.client_version));
    out.extend_from_slice(b"\r\n");
    let sent = if cx.is_head { "" } else { body };
    out.extend_from_slice(sent.as_bytes());
    sent.len() as u64
}

fn html(status: u16, reason: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{status} {reason}</title>\n\
         <style>\n\
         :root {{ color-scheme: light dark }}\n\
         body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto 0; padding: 0 1.5rem }}\n\
         h1 {{ font-size: 1.5rem; font-weight: 600; margin: 0 }}\n\
         h1 span {{ opacity: .5; font-weight: 400 }}\n\
         p {{ margin: .5rem 0; overflow-wrap: anywhere }}\n\
         </style>\n\
         <h1><span>{status}</span> {reason}</h1>\n\
         {content}\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// The sentence for a cause that whoever reads the page can do something about, which its status does not tell.
fn way_out(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::PlainOnTls => "This port speaks TLS: write https:// in front of the address.",
        Cause::ClientBusy => "There are too many requests from this address at once. Please try again in a moment.",
        Cause::Busy | Cause::NoDescriptor => "There are too many requests at once. Please try again in a moment.",
        _ => return None,
    })
}

/// The reason phrase, and a sentence for whoever reads the page.
fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        301 => ("Moved Permanently", ""),
        302 => ("Found", ""),
        307 => ("Temporary Redirect", ""),
        308 => ("Permanent Redirect", ""),
        400 => ("Bad Request", "The request is not valid."),
        403 => ("Forbidden", "This is not open to the address that you come from."),
        404 => ("Not Found", "There is nothing at this address."),
        405 => ("Method Not Allowed", "This method is not served here."),
        408 => ("Request Timeout", "The request did not arrive in time."),
        413 => ("Content Too Large", "The request is larger than this site takes."),
        414 => ("URI Too Long", "The address is longer than this server takes."),
        421 => ("Misdirected Request", "This server has no site of that name."),
        429 => ("Too Many Requests", "There have been too many requests from this address. Please wait a little."),
        431 => ("Request Header Fields Too Large", "The request has more header fields than this server takes."),
        500 => ("Internal Server Error", "Something went wrong in this server."),
        501 => ("Not Implemented", "This server does not know what the request asks for."),
        502 => ("Bad Gateway", "The application cannot be reached, or gave no valid answer."),
        503 => ("Service Unavailable", "The application is not available. Please try again in a moment."),
        504 => ("Gateway Timeout", "The application did not answer in time."),
        505 => ("HTTP Version Not Supported", "This server speaks HTTP/1.0 and HTTP/1.1 here."),
        508 => ("Loop Detected", "The request came back to this server."),
        _ => ("Error", "The request cannot be served."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Stage;
    use super::super::headers::tests::{with_request, with_response};
    use super::*;

    const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// What a client gets in answer to `request`: the head's fields by name, and the body.
    fn answer(
        request: &str,
        keep_alive: bool,
        write: impl Fn(&RequestHead<'_, '_>, &PageCx<'_>, &mut Vec<u8>) -> u64,
    ) -> (u16, String, String) {
        let mut out = Vec::new();
        let (mut method, mut written) = (Method::Get, 0);
        with_request(request, |head| {
            method = head.method;
            written = write(head, &PageCx::new(head, keep_alive, DATE), &mut out);
        });
        let wire = String::from_utf8(out).unwrap();
        let (head, body) = wire.split_once("\r\n\r\n").unwrap();
        assert_eq!(written, body.len() as u64);
        let mut status = 0;
        with_response(&wire, method, |parsed| {
            status = parsed.status;
            let length = parsed.content_length.unwrap();
            assert!(method.is_head() && body.is_empty() || length == body.len() as u64, "{wire}");
            assert_eq!(parsed.fields.first(Known::Date), Some(DATE));
        });
        (status, head.to_owned(), body.to_owned())
    }

    fn error(cause: Cause) -> Error {
        Error::downstream(Stage::Route, cause)
    }

    fn get(accept: &str) -> String {
        format!("GET /x?y HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n")
    }

    #[test]
    fn a_page_is_html_only_for_those_who_ask_for_it() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("Text/HTML;q=0.9", true),
            ("*/*", false),
            ("application/json", false),
            ("text/html-ish", false),
        ] {
            let (status, head, body) =
                answer(&get(accept), true, |_, cx, out| write_page(421, &error(Cause::UnknownHost), cx, out));
            assert_eq!((status, body.starts_with("<!doctype html>")), (421, html), "{accept}");
            assert_eq!(head.contains("Content-Type: text/html"), html, "{accept}");
            assert!(body.contains("421") && !head.contains("Connection"), "{head}");
            assert_eq!(body.contains('<'), html);
        }
    }

    #[test]
    fn a_page_closes_when_told_to_and_is_empty_after_head() {
        let (_, head, _) =
            answer(&get("*/*"), false, |_, cx, out| write_page(400, &error(Cause::AmbiguousPath), cx, out));
        assert!(head.contains("\r\nConnection: close"), "{head}");
        let (_, head, body) =
            answer("HEAD / HTTP/1.0\r\n\r\n", true, |_, cx, out| write_page(503, &error(Cause::NoServer), cx, out));
        assert!(head.contains("\r\nConnection: keep-alive") && body.is_empty(), "{head}");
    }

    #[test]
    fn who_forgot_https_is_told_to_write_it() {
        for accept in ["*/*", "text/html"] {
            let (_, _, body) =
                answer(&get(accept), false, |_, cx, out| write_page(400, &error(Cause::PlainOnTls), cx, out));
            assert!(body.contains("400") && body.contains("write https:// in front"), "{body}");
        }
    }

    #[test]
    fn who_comes_too_often_is_told_when_to_come_again() {
        for (status, cause, expect) in [
            (429, Cause::TooFast(17), Some("17")),
            (503, Cause::Busy, Some("1")),
            (503, Cause::NoMemory, Some("5")),
            (403, Cause::Denied, None),
        ] {
            let (_, head, _) = answer(&get("*/*"), true, |_, cx, out| write_page(status, &error(cause), cx, out));
            let field = head.lines().find_map(|line| line.strip_prefix("Retry-After: "));
            assert_eq!(field, expect, "{head}");
        }
    }

    #[test]
    fn every_status_that_an_error_has_is_in_words() {
        for status in
            [400, 403, 404, 405, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504, 505, 508, 301, 302, 307, 308]
        {
            assert_ne!(words(status).0, "Error", "{status}");
        }
    }

    #[test]
    fn a_method_that_is_not_served_gets_the_list_of_those_that_are() {
        let (status, head, _) = answer(&get("*/*"), true, |_, cx, out| write_not_allowed("GET, HEAD", cx, out));
        assert!(status == 405 && head.contains("\r\nAllow: GET, HEAD"), "{head}");
    }

    #[test]
    fn a_redirect_keeps_the_path_where_it_is_told_to() {
        for (to, keep_path, status, expect) in [
            ("https://b.test", true, 301, "https://b.test/x?y"),
            ("https://b.test/", true, 308, "https://b.test/x?y"),
            ("https://b.test/new", false, 302, "https://b.test/new"),
        ] {
            let redirect = Redirect { to: to.into(), keep_path, status };
            let write = |head: &RequestHead<'_, '_>, cx: &PageCx<'_>, out: &mut Vec<u8>| {
                write_redirect(&redirect, &head.target, cx, out)
            };
            let (found, head, body) = answer(&get("*/*"), true, write);
            assert_eq!(found, status);
            assert!(head.contains(&format!("\r\nLocation: {expect}\r\n")) && body.contains(expect), "{head}");
        }
    }

    #[test]
    fn a_link_in_a_page_cannot_become_markup() {
        let redirect = Redirect { to: "https://b.test".into(), keep_path: true, status: 302 };
        let request = "GET /\"><script>&' HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n";
        let (_, _, body) = answer(request, true, |head, cx, out| write_redirect(&redirect, &head.target, cx, out));
        assert!(!body.contains("<script>") && body.contains("/&quot;&gt;&lt;script&gt;&amp;&#39;"), "{body}");
    }
}
