//! The clients of a scene: each makes one connection, asks for some things on it, and looks at what it gets.

use crate::datagrams;
use crate::draw::Draw;
use crate::end::{Body, Broken, End, Reader, send};
use crate::ledger::Ledger;
use crate::pattern::{self, Way};
use crate::plan::{Exchange, Framing};
use crate::server::{LAST_WORDS, check};
use ringferry::wire::Outlet;
use ringferry_runtime::net::Stream;
use ringferry_runtime::time::{Alarm, Sleep};
use ringferry_runtime::{Handle, join, race};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

/// What a client does.
pub(crate) struct Visit {
    pub(crate) to: SocketAddr,
    /// When it comes.
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    /// It is gone after this long, wherever it is; by a reset or not.
    pub(crate) leaves: Option<(Duration, bool)>,
    /// It rests before each receive.
    pub(crate) rest: Duration,
}

pub(crate) enum Kind {
    /// Requests, one after another or all at once; by TLS or not.
    Requests { exchanges: Vec<Exchange>, pipelined: bool, secure: bool },
    /// A switch of protocols, and bytes both ways.
    Upgrade(Exchange),
    /// Bytes both ways.
    Bytes { id: u32, up: u32, down: u32 },
    /// Datagrams, each answered by itself.
    Datagrams { id: u32, count: u32 },
}

/// The host that is asked for.
pub(crate) const PLAIN_HOST: &str = "plain.test";
pub(crate) const SECURE_HOST: &str = "secure.test";

/// Who gets no connection for this long comes no more.
const CONNECT: Duration = Duration::from_secs(20);

impl Visit {
    /// Does it all.
    pub(crate) async fn pay(self, handle: Handle, ledger: Ledger, draw: Draw) {
        let Visit { to, at, kind, leaves, rest } = self;
        Sleep::new(&handle, at).await;
        if let Kind::Datagrams { id, count } = kind {
            return datagrams::ask(&handle, to, id, count, &ledger).await;
        }
        let mut alarm = Alarm::new(&handle);
        alarm.set(CONNECT);
        let stream = match alarm.guard(pin!(Stream::connect(&handle, to))).await {
            Ok(Ok(stream)) => stream,
            _ if ledger.is_calm() => return ledger.problem(format!("no connection to {to}")),
            _ => return,
        };
        let mut end = End::new(stream.clone());
        end.reader.rest = rest;
        let talk = kind.talk(&mut end, &ledger, draw);
        match leaves {
            None => talk.await,
            Some((after, reset)) => {
                stream.reset_on_close(reset);
                race(Sleep::new(&handle, after), talk).await;
            }
        }
    }
}

impl Kind {
    async fn talk(self, end: &mut End, ledger: &Ledger, mut draw: Draw) {
        match self {
            Kind::Requests { exchanges, pipelined, secure } => {
                let host = if secure { SECURE_HOST } else { PLAIN_HOST };
                if secure && let Err(broken) = end.secure(host).await {
                    // Whose handshake fails has got no answer that could be wrong.
                    return forgotten(ledger, 0, broken);
                }
                let End { outlet, reader } = end;
                if pipelined {
                    exchanges.iter().for_each(|exchange| ledger.asked(exchange));
                    let ask = async {
                        for exchange in &exchanges {
                            request(outlet, exchange, host, &mut draw).await?;
                        }
                        Ok::<_, Broken>(())
                    };
                    // Who cannot ask any more may still be answered, or told why not.
                    let (_, _) = join(ask, answers(reader, &exchanges, ledger)).await;
                    return;
                }
                for exchange in &exchanges {
                    ledger.asked(exchange);
                    let one = std::slice::from_ref(exchange);
                    let asked = request(outlet, exchange, host, &mut draw);
                    if !join(asked, answers(reader, one, ledger)).await.1 {
                        return;
                    }
                }
            }
            Kind::Upgrade(exchange) => {
                ledger.asked(&exchange);
                let head = format!(
                    "GET {} HTTP/1.1\r\nhost: {PLAIN_HOST}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
                    exchange.target()
                );
                match switched(end, head.into_bytes(), &exchange, ledger).await {
                    Ok(true) => tunnel(end, exchange.id, exchange.up, exchange.answer.len, ledger).await,
                    Ok(false) => {}
                    Err(broken) => forgotten(ledger, exchange.id, broken),
                }
            }
            Kind::Datagrams { .. } => unreachable!("they have no connection"),
            Kind::Bytes { id, up, down } => {
                let hello = format!("{id} {down} -\r\n\r\n");
                match end.send(hello.into_bytes()).await {
                    Ok(()) => tunnel(end, id, up, down, ledger).await,
                    Err(broken) => forgotten(ledger, id, broken),
                }
            }
        }
    }
}

/// An end that came too soon is a problem where nothing goes wrong; to be forgotten always is one.
fn forgotten(ledger: &Ledger, id: u32, broken: Broken) {
    if broken == Broken::Forgotten {
        ledger.problem(format!("{id} was forgotten"));
    }
    ledger.broken(id, "cut");
}

async fn request(outlet: &Outlet, exchange: &Exchange, host: &str, draw: &mut Draw) -> Result<(), Broken> {
    let Exchange { id, method, up, up_framing, expects, last, .. } = exchange;
    let mut head = format!("{method} {} HTTP/1.1\r\nhost: {host}\r\n", exchange.target());
    let has_body = matches!(*method, "PUT" | "POST");
    if has_body {
        match up_framing {
            Framing::Length | Framing::Close => head += &format!("content-length: {up}\r\n"),
            Framing::Chunked => head += "transfer-encoding: chunked\r\n",
        }
    }
    if *expects {
        head += "expect: 100-continue\r\n";
    }
    head += if *last { "connection: close\r\n\r\n" } else { "\r\n" };
    let mut out = head.into_bytes();
    if *expects {
        send(outlet, std::mem::take(&mut out)).await?;
        Sleep::new(outlet.stream().handle(), Duration::from_secs(1)).await;
    }
    if !has_body {
        return send(outlet, out).await;
    }
    let (framing, is_cut) = (*up_framing, false);
    Body { id: *id, way: Way::Up, framing, len: *up, piece_max: 30_000, is_cut }.send(outlet, out, draw).await
}

/// The answers, in order. Whether the connection is good for more.
async fn answers(reader: &mut Reader, exchanges: &[Exchange], ledger: &Ledger) -> bool {
    for exchange in exchanges {
        match answer(reader, exchange, ledger).await {
            Ok(true) => {}
            Ok(false) => return false,
            Err(broken) => {
                forgotten(ledger, exchange.id, broken);
                return false;
            }
        }
    }
    if !reader.is_empty() {
        ledger.problem("bytes came that nobody asked for".to_owned());
    }
    true
}

/// One answer. Whether another may follow.
async fn answer(reader: &mut Reader, exchange: &Exchange, ledger: &Ledger) -> Result<bool, Broken> {
    let id = exchange.id;
    let head = loop {
        let head = reader.head().await?;
        if !head.first[1].starts_with('1') {
            break head;
        }
    };
    let status = head.first[1].parse().unwrap_or(0);
    let from = head.field("x-id");
    ledger.answered(id, status, from);
    let stays = head.field("connection").is_none_or(|options| !options.eq_ignore_ascii_case("close"));
    let framing = if exchange.is_bodiless(status) { (Framing::Length, 0) } else { head.framing(false) };
    let mut offset = 0;
    let received = reader.body(framing, |piece| {
        if from.is_some() {
            check(ledger, (id, Way::Down), &mut offset, piece);
        }
    });
    received.await?;
    if from.is_some() {
        ledger.whole(id, offset);
    }
    Ok(stays && framing.0 != Framing::Close)
}

/// Whether the protocol was switched.
async fn switched(end: &mut End, head: Vec<u8>, exchange: &Exchange, ledger: &Ledger) -> Result<bool, Broken> {
    end.send(head).await?;
    let head = end.reader.head().await?;
    let status = head.first[1].parse().unwrap_or(0);
    ledger.answered(exchange.id, status, head.field("x-id"));
    Ok(status == 101)
}

/// Both directions of a tunnel, for the client: it ends its own, and then hears the server's last words.
async fn tunnel(end: &mut End, id: u32, up: u32, down: u32, ledger: &Ledger) {
    let End { outlet, reader } = end;
    let ask = async {
        send(outlet, pattern::bytes(id, Way::Up, 0, up as usize)).await?;
        outlet.shutdown().await.map_err(|_| Broken::Reset)
    };
    let mut offset = 0;
    let listen = reader.body((Framing::Close, 0), |piece| check(ledger, (id, Way::Down), &mut offset, piece));
    let result = match join(ask, listen).await {
        (Ok(()), result) | (Err(_), result) => result,
    };
    match result {
        Err(broken) => forgotten(ledger, id, broken),
        Ok(()) if offset < u64::from(down) + LAST_WORDS => ledger.broken(id, "cut short"),
        Ok(()) => {}
    }
}
