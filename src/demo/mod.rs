//! Three little sites to look at through the proxy: a blog, a file server, a chat.
//!
//! They listen on loopback only, on ports that the kernel chooses, in a thread of their own with its own small tokio
//! runtime. They know nothing of the proxy in front of them, share nothing with it, and are no part of `run`.

mod blog;
mod chat;
mod files;
mod page;
mod range;
#[cfg(test)]
mod tests;

use chat::Room;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where the three sites listen.
#[derive(Clone, Copy, Debug)]
pub struct DemoSites {
    /// Pages that show how a request arrived.
    pub blog: SocketAddr,
    /// Downloads of any size, uploads that are counted and hashed.
    pub files: SocketAddr,
    /// A page and a WebSocket.
    pub chat: SocketAddr,
}

/// Starts the three sites. They live until the process ends.
pub fn start() -> io::Result<DemoSites> {
    let (blog, files, chat) = (listen()?, listen()?, listen()?);
    let sites = DemoSites { blog: blog.local_addr()?, files: files.local_addr()?, chat: chat.local_addr()? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("demo-sites".into()).spawn(move || {
        runtime.block_on(async {
            tokio::join!(serve(blog, Site::Blog), serve(files, Site::Files), serve(chat, Site::Chat(Room::new())))
        })
    })?;
    Ok(sites)
}

/// A port of loopback.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// It is free for IPv6 as well.
    pub ipv6: bool,
}

impl Port {
    /// The value of `listen`.
    fn listen(self, scheme: &str) -> String {
        let Port { number, ipv6 } = self;
        let ipv4 = format!(r#""{scheme}127.0.0.1:{number}""#);
        if ipv6 { format!(r#"[{ipv4}, "{scheme}[::1]:{number}"]"#) } else { ipv4 }
    }
}

/// The configuration that puts the three sites behind one port of this machine, and by TLS behind another.
pub fn config_text(http: Port, https: Option<Port>, sites: &DemoSites) -> String {
    let DemoSites { blog, files, chat } = sites;
    let (listen, port) = (http.listen(""), http.number);
    let by_tls = https.map(|https| by_tls(https, sites)).unwrap_or_default();
    format!(
        r#"# Three sites behind one port of this machine. To make it yours, copy it,
# write ":80" to be reached from outside, your own hosts, and your own ports.

[listen]
http = {listen}

[[site]]
host     = "blog.localhost"
upstream = "http://{blog}"

[[site]]
host     = "files.localhost"
upstream = "http://{files}"

[[site]]
host     = "chat.localhost"
upstream = "http://{chat}"     # WebSocket needs no setting

[[site]]
host  = ["localhost", "127.0.0.1"]
route = [
  {{ path = "/blog/", strip_prefix = true, upstream = "http://{blog}" }},
  {{ path = "/", redirect = {{ to = "http://localhost:{port}/blog/", status = 302 }} }},
]
{by_tls}"#
    )
}

/// They are sites of their own, because a site with TLS redirects http:// to it, and a browser would then meet a
/// certificate that it does not know before it has seen a page.
fn by_tls(https: Port, sites: &DemoSites) -> String {
    let (DemoSites { blog, files, chat }, listen) = (sites, https.listen("https://"));
    format!(
        r#"
# The same by TLS, with certificates of an authority of this machine. Yours need
# no listen (:443 it is), and no second site: http:// is redirected to https://.

[[site]]
host     = "blog.localhost"
listen   = {listen}
tls      = "internal"
upstream = "http://{blog}"

[[site]]
host     = "files.localhost"
listen   = {listen}
tls      = "internal"
upstream = "http://{files}"

[[site]]
host     = "chat.localhost"
listen   = {listen}
tls      = "internal"
upstream = "http://{chat}"
"#
    )
}

fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts connections of one site, at most [`CONNECTIONS_MAX`] at once.
async fn serve(listener: TcpListener, site: Site) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a non-blocking listener and a runtime with I/O");
    let (site, places) = (Arc::new(site), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely no descriptor is free; asking again at once would only spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let site = site.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let site = site.clone();
                async move { Ok::<_, Infallible>(site.answer(request).await) }
            });
            // A client that breaks off is its own business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades().await;
            drop(place);
        });
    }
}

enum Site {
    Blog,
    Files,
    Chat(Arc<Room>),
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        if request.uri().path() == "/style.css" {
            return page::style();
        }
        match self {
            Site::Blog => blog::answer(&request),
            Site::Files => files::answer(request).await,
            Site::Chat(room) => chat::answer(request, room).await,
        }
    }
}

/// An answer: a text that is at hand, or bytes that are made as they leave.
type Response = hyper::Response<Either<Full<Bytes>, files::Generated>>;

/// A plain-text answer.
fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    *response.status_mut() = status;
    page::content_type(&mut response, "text/plain; charset=utf-8");
    response
}

/// More connections than this wait in the backlog of a listener.
const CONNECTIONS_MAX: usize = 256;
