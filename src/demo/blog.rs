//! The blog: a few pages that look the same at the root of a host and under a path, and say how a request arrived.

use super::page::{arrival, fill, page};
use super::{Response, text};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};

pub(super) fn answer(request: &Request<Incoming>) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "The blog is for reading: GET or HEAD.\n");
    }
    let (title, main) = match request.uri().path() {
        "/" => ("Notes from the quay", include_str!("pages/blog_index.html")),
        "/crossing" => ("The first crossing", include_str!("pages/blog_crossing.html")),
        "/slow-water" => ("Slow water", include_str!("pages/blog_slow_water.html")),
        "/timetable" => ("A new timetable at noon", include_str!("pages/blog_timetable.html")),
        _ => return not_found(request),
    };
    let arrival = arrival(request.headers());
    page(request.headers(), title, &fill(main, &[("arrival", &arrival)]))
}

fn not_found(request: &Request<Incoming>) -> Response {
    let mut response = page(request.headers(), "No such page", include_str!("pages/blog_no_such_page.html"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
