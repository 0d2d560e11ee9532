//! Parsing a whole head: a short request, a browser's request with fifteen fields, and an upstream's response.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringferry_parser::h1::{FieldSlots, HeadLimits, Method, Parsed, request, response};
use std::hint::black_box;

const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 100 };

const SHORT: &str = "GET / HTTP/1.1\r\nHost: blog.example.com\r\n\r\n";

const BROWSER: &str = "GET /articles/2026/11/a-proxy-on-a-small-board?page=2 HTTP/1.1\r\n\
    Host: blog.example.com\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: https://blog.example.com/articles/2026/11/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\
    Server: example\r\n\
    Date: Mon, 23 Nov 2026 06:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 10240\r\n\
    Cache-Control: max-age=60\r\n\
    ETag: \"5f3c-61a2b3c4d5e6f\"\r\n\
    Vary: Accept-Encoding\r\n\
    Connection: keep-alive\r\n\r\n";

fn head(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    for (name, text) in [("request_short", SHORT), ("request_browser", BROWSER)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                let mut slots = FieldSlots::new();
                let parsed = request::parse(black_box(text.as_bytes()), &mut slots, &LIMITS);
                matches!(parsed, Ok(Parsed::Complete(head)) if black_box(head.head_len) > 0)
            });
        });
    }
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("response", |b| {
        b.iter(|| {
            let mut slots = FieldSlots::new();
            let parsed = response::parse(black_box(RESPONSE.as_bytes()), &mut slots, &LIMITS, Method::Get);
            matches!(parsed, Ok(Parsed::Complete(head)) if black_box(head.head_len) > 0)
        });
    });
}

criterion_group!(benches, head);
criterion_main!(benches);
