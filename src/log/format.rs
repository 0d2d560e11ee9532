//! A [`Record`] as a line of text, in one of the formats of [`LogFormat`].

use super::text::{address, bare, json_string, number, padded, quoted, seconds};
use super::{Record, TimeText};
use crate::model::LogFormat;

/// Appends `record` to `out` as one line, newline included, whatever bytes a peer put into it.
pub fn format(record: &Record<'_>, format: LogFormat, clock: &mut TimeText, out: &mut Vec<u8>) {
    match format {
        LogFormat::Combined => combined(record, clock, out),
        LogFormat::Json => json(record, clock, out),
    }
    out.push(b'\n');
}

/// The combined format that every log reader knows, then `key=value` for what it has no place for. Durations are
/// seconds: `rt` total, `uct` upstream connect, `urt` upstream first byte. A value that does not exist is `-`.
fn combined(record: &Record<'_>, clock: &mut TimeText, out: &mut Vec<u8>) {
    address(out, record.client);
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(clock.common(record.unix_ms / 1000));
    out.extend_from_slice(b"] \"");
    quoted(out, record.method);
    if !record.method.is_empty() {
        out.push(b' ');
        quoted(out, record.target);
        out.push(b' ');
        out.extend_from_slice(record.version.as_bytes());
    }
    out.extend_from_slice(b"\" ");
    padded::<3>(out, record.status.into());
    out.push(b' ');
    number(out, record.bytes_out);
    for text in [record.referer, record.user_agent] {
        out.extend_from_slice(b" \"");
        quoted(out, if text.is_empty() { b"-" } else { text });
        out.push(b'"');
    }

    out.extend_from_slice(b" host=");
    bare(out, record.host);
    out.extend_from_slice(b" in=");
    number(out, record.bytes_in);
    for (key, micros) in
        [(b" rt=".as_slice(), Some(record.total_us)), (b" uct=", record.connect_us), (b" urt=", record.first_byte_us)]
    {
        out.extend_from_slice(key);
        match micros {
            Some(micros) => seconds(out, micros),
            None => out.push(b'-'),
        }
    }
    out.extend_from_slice(b" up=");
    bare(out, record.upstream.as_bytes());
    out.extend_from_slice(b" retries=");
    number(out, record.retries.into());
    out.extend_from_slice(b" route=");
    bare(out, record.site.as_bytes());
    if !record.path.is_empty() {
        bare(out, record.path.as_bytes());
    }
    out.extend_from_slice(b" err=");
    match record.error {
        // A word or a few of ours; one value stays one word.
        Some(error) => out.extend(error.bytes().map(|byte| if byte == b' ' { b'-' } else { byte })),
        None => out.push(b'-'),
    }
    if record.tunnel {
        out.extend_from_slice(b" tunnel=1");
    }
    if let Some(tls) = record.tls {
        for text in [" tls=", tls.version, "/", tls.cipher, if tls.resumed { "/resumed" } else { "" }] {
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(b" sni=");
        bare(out, tls.server_name.as_deref().unwrap_or_default().as_bytes());
    }
}

/// One JSON object. Durations are microseconds; what does not exist is `null`, so that every line has every key.
fn json(record: &Record<'_>, clock: &mut TimeText, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(clock.iso(record.unix_ms / 1000));
    out.push(b'.');
    padded::<3>(out, record.unix_ms);
    out.extend_from_slice(b"Z\",\"client\":\"");
    address(out, record.client);
    out.push(b'"');
    for (key, text) in [
        (b",\"host\":".as_slice(), record.host),
        (b",\"method\":", record.method),
        (b",\"target\":", record.target),
        (b",\"version\":", record.version.as_bytes()),
    ] {
        json_text(out, key, text);
    }
    for (key, value) in [
        (b",\"status\":".as_slice(), Some(record.status.into())),
        (b",\"bytes_in\":", Some(record.bytes_in)),
        (b",\"bytes_out\":", Some(record.bytes_out)),
        (b",\"total_us\":", Some(record.total_us)),
        (b",\"connect_us\":", record.connect_us),
        (b",\"first_byte_us\":", record.first_byte_us),
        (b",\"retries\":", Some(record.retries.into())),
    ] {
        out.extend_from_slice(key);
        match value {
            Some(value) => number(out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    for (key, text) in [
        (b",\"upstream\":".as_slice(), record.upstream.as_bytes()),
        (b",\"site\":", record.site.as_bytes()),
        (b",\"path\":", record.path.as_bytes()),
        (b",\"referer\":", record.referer),
        (b",\"user_agent\":", record.user_agent),
        (b",\"error\":", record.error.unwrap_or_default().as_bytes()),
    ] {
        json_text(out, key, text);
    }
    out.extend_from_slice(if record.tunnel { b",\"tunnel\":true" } else { b",\"tunnel\":false" });
    let tls = record.tls;
    for (key, text) in [
        (b",\"tls\":".as_slice(), tls.map(|tls| tls.version)),
        (b",\"cipher\":", tls.map(|tls| tls.cipher)),
        (b",\"sni\":", tls.and_then(|tls| tls.server_name.as_deref())),
    ] {
        json_text(out, key, text.unwrap_or_default().as_bytes());
    }
    out.extend_from_slice(match tls {
        None => b",\"resumed\":null}",
        Some(tls) if tls.resumed => b",\"resumed\":true}",
        Some(_) => b",\"resumed\":false}",
    });
}

fn json_text(out: &mut Vec<u8>, key: &[u8], text: &[u8]) {
    out.extend_from_slice(key);
    match text {
        b"" => out.extend_from_slice(b"null"),
        text => json_string(out, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Agreed;
    use std::net::Ipv4Addr;

    fn example() -> Record<'static> {
        Record {
            unix_ms: 784_111_777_045,
            client: Ipv4Addr::new(192, 0, 2, 7).into(),
            host: b"blog.example.com",
            method: b"GET",
            target: b"/blog/?page=2",
            version: "HTTP/1.1",
            status: 200,
            bytes_in: 0,
            bytes_out: 5120,
            user_agent: b"curl/8.5",
            referer: b"",
            total_us: 1234,
            connect_us: Some(99),
            first_byte_us: Some(1_000_001),
            upstream: "127.0.0.1:2368",
            retries: 0,
            site: "blog.example.com",
            path: "/blog",
            error: None,
            tunnel: false,
            tls: None,
        }
    }

    /// What is known when a head could not be read.
    fn unreadable() -> Record<'static> {
        Record {
            host: b"",
            method: b"",
            target: b"",
            version: "",
            status: 400,
            user_agent: b"",
            connect_us: None,
            first_byte_us: None,
            upstream: "",
            site: "",
            path: "",
            error: Some("bad request line"),
            ..example()
        }
    }

    fn hostile() -> Record<'static> {
        Record {
            host: b"a b\n",
            target: b"/\"\r\n\x1b[2J\xff",
            user_agent: b"\\\"}\n{",
            referer: "\u{2028}\u{9b}é".as_bytes(),
            tunnel: true,
            status: 101,
            ..example()
        }
    }

    fn line(record: &Record<'_>, as_format: LogFormat) -> String {
        let mut out = Vec::new();
        format(record, as_format, &mut TimeText::new(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(record: Record<'_>, as_format: LogFormat, expect: &str) {
        assert_eq!(line(&record, as_format), format!("{expect}\n"));
    }

    #[test]
    fn a_combined_line_is_what_log_readers_know_and_a_tail() {
        check(
            example(),
            LogFormat::Combined,
            "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"GET /blog/?page=2 HTTP/1.1\" 200 5120 \"-\" \"curl/8.5\" \
             host=blog.example.com in=0 rt=0.001234 uct=0.000099 urt=1.000001 up=127.0.0.1:2368 retries=0 \
             route=blog.example.com/blog err=-",
        );
        check(
            unreadable(),
            LogFormat::Combined,
            "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"\" 400 5120 \"-\" \"-\" \
             host=- in=0 rt=0.001234 uct=- urt=- up=- retries=0 route=- err=bad-request-line",
        );
    }

    #[test]
    fn a_json_line_has_every_key() {
        check(
            example(),
            LogFormat::Json,
            r#"{"time":"1994-11-06T08:49:37.045Z","client":"192.0.2.7","host":"blog.example.com","method":"GET","target":"/blog/?page=2","version":"HTTP/1.1","status":200,"bytes_in":0,"bytes_out":5120,"total_us":1234,"connect_us":99,"first_byte_us":1000001,"retries":0,"upstream":"127.0.0.1:2368","site":"blog.example.com","path":"/blog","referer":null,"user_agent":"curl/8.5","error":null,"tunnel":false,"tls":null,"cipher":null,"sni":null,"resumed":null}"#,
        );
        let keys = |record: &Record<'_>| match serde_json::from_str(&line(record, LogFormat::Json)).unwrap() {
            serde_json::Value::Object(object) => object.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
            other => panic!("not an object: {other}"),
        };
        assert_eq!(keys(&example()), keys(&unreadable()));
    }

    #[test]
    fn tls_is_told_where_it_was_spoken() {
        let agreed = Agreed {
            version: "TLSv1.3",
            cipher: "TLS13_AES_128_GCM_SHA256",
            resumed: true,
            server_name: Some("blog.example.com".into()),
            client_subject: None,
        };
        let record = Record { tls: Some(&agreed), ..example() };
        let text = line(&record, LogFormat::Combined);
        assert!(text.ends_with(" tls=TLSv1.3/TLS13_AES_128_GCM_SHA256/resumed sni=blog.example.com\n"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&line(&record, LogFormat::Json)).unwrap();
        let got = ["tls", "cipher", "sni", "resumed"].map(|key| value[key].to_string());
        assert_eq!(got, ["\"TLSv1.3\"", "\"TLS13_AES_128_GCM_SHA256\"", "\"blog.example.com\"", "true"]);
    }

    #[test]
    fn bytes_of_a_peer_stay_inside_their_line_and_field() {
        check(
            hostile(),
            LogFormat::Combined,
            "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"GET /\\x22\\x0D\\x0A\\x1B[2J\\xFF HTTP/1.1\" 101 5120 \
             \"\\xE2\\x80\\xA8\\xC2\\x9B\\xC3\\xA9\" \"\\x5C\\x22}\\x0A{\" \
             host=a\\x20b\\x0A in=0 rt=0.001234 uct=0.000099 urt=1.000001 up=127.0.0.1:2368 retries=0 \
             route=blog.example.com/blog err=- tunnel=1",
        );
        let text = line(&hostile(), LogFormat::Json);
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["host"], "a b\n");
        assert_eq!(value["target"], "/\"\r\n\u{1b}[2J\u{FFFD}");
        assert_eq!(value["referer"], "\u{2028}\u{9b}é");
        assert_eq!(value["user_agent"], "\\\"}\n{");
        assert_eq!(value["tunnel"], true);
    }
}
