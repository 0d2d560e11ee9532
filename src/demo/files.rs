//! The file server: downloads of any size, made as they leave; uploads, counted and hashed as they arrive.
//!
//! Nothing is kept: memory stays flat whatever the size.

use super::page::{content_type, page};
use super::range::{self, Asked};
use super::{Response, text};
use http_body_util::{BodyExt, Either};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_DISPOSITION, CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};
use hyper::{Method, Request, StatusCode};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::fmt::Write;
use std::ops::Range;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

pub(super) async fn answer(request: Request<Incoming>) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => match request.uri().path() {
            "/" => page(request.headers(), "Files", include_str!("pages/files.html")),
            "/1g" => download(request.headers(), "1GiB"),
            "/file" => {
                let query = request.uri().query().unwrap_or("");
                let size = query.split('&').find_map(|pair| pair.strip_prefix("size="));
                download(request.headers(), size.unwrap_or("1GiB"))
            }
            _ => text(StatusCode::NOT_FOUND, "There is /1g, and /file?size=100MiB.\n"),
        },
        Method::PUT | Method::POST => upload(request.into_body()).await,
        _ => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET downloads, PUT and POST upload.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT, POST"));
            response
        }
    }
}

fn download(headers: &HeaderMap, named: &str) -> Response {
    let Some(size) = range::size(named).filter(|size| *size <= SIZE_MAX) else {
        return text(StatusCode::BAD_REQUEST, "Write the size like 64KiB, 100MiB or 5GiB; 1024GiB is the largest.\n");
    };
    // If-Range names a version; there are no versions here, so it never matches and the whole is sent (RFC 9110, 13.1.5).
    let field = headers.get(RANGE).filter(|_| !headers.contains_key(IF_RANGE)).and_then(|value| value.to_str().ok());
    let (status, part) = match field.map_or(Asked::Whole, |field| range::asked(field, size)) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Nothing => {
            let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, "The file ends before that.\n");
            insert(&mut response, CONTENT_RANGE, format!("bytes */{size}"));
            return response;
        }
    };
    let content_range = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
    let mut response = Response::new(Either::Right(Generated(part)));
    *response.status_mut() = status;
    content_type(&mut response, "application/octet-stream");
    insert(&mut response, ACCEPT_RANGES, "bytes".into());
    // A size that was understood is digits and letters, so it can stand in a header.
    insert(&mut response, CONTENT_DISPOSITION, format!("attachment; filename=\"{named}.bin\""));
    if status == StatusCode::PARTIAL_CONTENT {
        insert(&mut response, CONTENT_RANGE, content_range);
    }
    response
}

fn insert(response: &mut Response, name: hyper::header::HeaderName, value: String) {
    response.headers_mut().insert(name, HeaderValue::try_from(value).expect("made of numbers and letters"));
}

async fn upload(mut body: Incoming) -> Response {
    let (mut count, mut hash) = (0u64, Sha256::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return text(StatusCode::BAD_REQUEST, "The upload broke off.\n");
        };
        if let Some(data) = frame.data_ref() {
            count += data.len() as u64;
            hash.update(data);
        }
    }
    let mut answer = format!("received {count} bytes\nsha256 ");
    for byte in hash.finalize() {
        let _ = write!(answer, "{byte:02x}");
    }
    text(StatusCode::OK, answer + "\n")
}

/// The bytes of a range of the endless file, a block at a time: the only memory is the block, made once.
pub(super) struct Generated(Range<u64>);

impl Body for Generated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Range { start, end } = self.0;
        if start >= end {
            return Poll::Ready(None);
        }
        let from = start as usize % BLOCK.len();
        let to = BLOCK.len().min(from.saturating_add(usize::try_from(end - start).unwrap_or(usize::MAX)));
        self.0.start += (to - from) as u64;
        Poll::Ready(Some(Ok(Frame::data(BLOCK.slice(from..to)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.end - self.0.start)
    }
}

/// What the file repeats: bytes that do not compress (an xorshift sequence), the same in every process.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(BLOCK_BYTES / 8).flatten().collect()
});

const BLOCK_BYTES: usize = 64 << 10;

/// Far more than anybody waits for.
const SIZE_MAX: u64 = 1 << 40;
