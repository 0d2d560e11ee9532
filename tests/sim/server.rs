//! The servers of a scene: each does what the request in front of it says.

use crate::draw::Draw;
use crate::end::{Body, Broken, End, Reader, send};
use crate::ledger::Ledger;
use crate::pattern::{self, Way};
use crate::plan::{Answer, Framing, Mishap, read_target};
use ringferry::wire::Outlet;
use ringferry_runtime::net::{Listener, Stream};
use ringferry_runtime::time::Sleep;
use ringferry_runtime::{Handle, Socket, join};
use std::time::Duration;

/// A server that says nothing is given up by then.
const SILENCE: Duration = Duration::from_secs(400);

/// Serves what comes to `socket` until the core ends. `serve` is for each connection.
pub(crate) fn listen<F: Future<Output = ()> + 'static>(
    handle: &Handle,
    socket: &Socket,
    serve: impl Fn(Stream, u64) -> F + 'static,
) {
    let mut listener = Listener::new(handle, socket).expect("a listener");
    let handle = handle.clone();
    handle.clone().spawn(async move {
        for connection in 0.. {
            match listener.accept().await {
                Ok(socket) => handle.spawn(serve(Stream::from_owned(&handle, socket), connection)),
                Err(_) => Sleep::new(&handle, Duration::from_millis(10)).await,
            }
        }
    });
}

/// A connection of a server of HTTP.
pub(crate) async fn http(stream: Stream, ledger: Ledger, mut draw: Draw) {
    let mut end = End::new(stream);
    while let Ok(true) = exchange(&mut end, &ledger, &mut draw).await {}
}

/// One request; whether another may follow.
async fn exchange(end: &mut End, ledger: &Ledger, draw: &mut Draw) -> Result<bool, Broken> {
    let head = end.reader.head().await?;
    let [method, target, _] = &head.first;
    let Some((id, answer)) = read_target(target) else {
        ledger.problem(format!("a server got {method} {target}"));
        return Ok(false);
    };
    ledger.arrived(id, method);
    if head.field("upgrade").is_some() {
        let switch =
            format!("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\nx-id: {id}\r\n\r\n");
        end.send(switch.into_bytes()).await?;
        tunnel(end, id, answer.len.into(), ledger).await?;
        return Ok(false);
    }
    if answer.mishap == Mishap::NoAnswer && draw.once_in(2) {
        return Ok(false);
    }
    if head.field("expect").is_some() && draw.once_in(2) {
        end.send(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()).await?;
    }
    if answer.early {
        respond(&end.outlet, id, method, answer, true, draw).await?;
        // Who closes at once resets the connection, and the answer with it.
        body(&mut end.reader, id, head.framing(true), ledger).await?;
        return Ok(false);
    }
    body(&mut end.reader, id, head.framing(true), ledger).await?;
    let handle = end.outlet.stream().handle().clone();
    match answer.mishap {
        Mishap::NoAnswer => return Ok(false),
        Mishap::Silent => {
            Sleep::new(&handle, SILENCE).await;
            return Ok(false);
        }
        Mishap::Garbage => {
            end.send(pattern::bytes(id, Way::Down, 0, 500)).await?;
            return Ok(false);
        }
        Mishap::None | Mishap::Reset(_) => {}
    }
    Sleep::new(&handle, Duration::from_millis(answer.delay_ms.into())).await;
    let closes = answer.closes || draw.once_in(10);
    respond(&end.outlet, id, method, answer, closes, draw).await?;
    Ok(!closes && answer.framing != Framing::Close)
}

async fn body(reader: &mut Reader, id: u32, framing: (Framing, u64), ledger: &Ledger) -> Result<(), Broken> {
    let mut offset = 0;
    reader.body(framing, |piece| check(ledger, (id, Way::Up), &mut offset, piece)).await
}

/// Whether a piece of what goes `way` for `id` is what belongs there.
pub(crate) fn check(ledger: &Ledger, (id, way): (u32, Way), offset: &mut u64, piece: &[u8]) {
    match pattern::differs(id, way, *offset, piece) {
        Some(at) => ledger.problem(format!("{id}: what goes {way:?} differs at byte {at}")),
        None => ledger.passed(piece.len()),
    }
    *offset += piece.len() as u64;
}

async fn respond(
    outlet: &Outlet,
    id: u32,
    method: &str,
    answer: Answer,
    closes: bool,
    draw: &mut Draw,
) -> Result<(), Broken> {
    for _ in 0..answer.interims {
        send(outlet, b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n".to_vec()).await?;
    }
    let Answer { status, len, framing, mishap, .. } = answer;
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nx-id: {id}\r\n");
    let has_body = method != "HEAD" && !matches!(status, 204 | 304);
    if status != 204 {
        match framing {
            Framing::Length => head += &format!("content-length: {len}\r\n"),
            Framing::Chunked => head += "transfer-encoding: chunked\r\n",
            Framing::Close => {}
        }
    }
    head += if closes || framing == Framing::Close { "connection: close\r\n\r\n" } else { "\r\n" };
    let out = head.into_bytes();
    if !has_body {
        return send(outlet, out).await;
    }
    let (len, is_cut) = match mishap {
        Mishap::Reset(at) => (at.min(len), true),
        _ => (len, false),
    };
    Body { id, way: Way::Down, framing, len, piece_max: 40_000, is_cut }.send(outlet, out, draw).await?;
    if is_cut {
        outlet.stream().reset_on_close(true);
        return Err(Broken::Reset);
    }
    Ok(())
}

/// A connection of a server of bytes: the client says who it is and what it wants.
pub(crate) async fn bytes(stream: Stream, ledger: Ledger) {
    let mut end = End::new(stream);
    // The first line is like that of HTTP: `id length -`.
    let Ok(head) = end.reader.head().await else { return };
    let [id, len, _] = &head.first;
    let (Ok(id), Ok(len)) = (id.parse(), len.parse()) else {
        return ledger.problem(format!("a server of bytes got {:?}", head.first));
    };
    let _ = tunnel(&mut end, id, len, &ledger).await;
}

/// What a server says once its client has ended, so that an end which is not passed on is missed.
pub(crate) const LAST_WORDS: u64 = 100;

/// Both directions of a tunnel, for the server: `len` bytes down, and its last words after the client's end.
async fn tunnel(end: &mut End, id: u32, len: u64, ledger: &Ledger) -> Result<(), Broken> {
    let End { outlet, reader } = end;
    let down = send(outlet, pattern::bytes(id, Way::Down, 0, len as usize));
    let mut offset = 0;
    let up = reader.body((Framing::Close, 0), |piece| check(ledger, (id, Way::Up), &mut offset, piece));
    let (down, up) = join(down, up).await;
    down.and(up)?;
    send(outlet, pattern::bytes(id, Way::Down, len, LAST_WORDS as usize)).await
}
