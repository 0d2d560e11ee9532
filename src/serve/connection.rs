//! A client's connection from accept to close: one exchange after another.

use super::after::After;
use super::client::Client;
use super::context::Context;
use super::exchange::exchange;
use super::opening::begin;
use crate::model::Protocol;
use ringferry_runtime::net::Stream;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

/// Serves the connection of a client that came through the listener with this key. `open` is dropped at its end.
///
/// Not an `async fn`: that would hold its arguments twice, and ten thousand of these may be idle.
pub fn serve<O: 'static>(
    cx: Rc<Context>,
    stream: Stream,
    address: IpAddr,
    listener: u64,
    open: O,
) -> impl Future<Output = ()> + 'static {
    let mut client = Client::new(&cx, stream, address, listener);
    let begins_otherwise = cx.view_for(listener).is_none_or(|(view, id, _)| {
        let listener = &view.snapshot.config.listeners[id.index()];
        listener.protocol != Protocol::Http || listener.proxy_protocol.is_some()
    });
    async move {
        let _open = &open;
        // Boxed, all of them: they are large, and an idle connection must not be. Nor does it hold an `After`.
        let after = 'served: {
            if begins_otherwise {
                let begun = Box::pin(begin(&cx, &mut client)).await;
                if !matches!(begun, After::Keep) {
                    break 'served begun;
                }
            }
            let mut is_fresh = true;
            loop {
                let has_more = client.wait(&cx, is_fresh).await;
                is_fresh = false;
                let is_answered = !client.is_answering() || Box::pin(client.answered(&cx)).await;
                if !has_more || !is_answered {
                    break After::Close;
                }
                match cx.handle.recycle(exchange(&cx, &mut client)).await {
                    After::Keep => {}
                    after => break after,
                }
            }
        };
        if let Some(end) = end(&cx, client, after) {
            end.await;
        }
    }
}

/// The end of a connection, if it takes a while.
fn end<'a>(cx: &'a Rc<Context>, mut client: Client, after: After) -> Option<Pin<Box<dyn Future<Output = ()> + 'a>>> {
    match after {
        After::Keep | After::Close => client.outlet.farewell(),
        After::Linger => return Some(Box::pin(async move { client.linger(cx).await })),
        After::Cut => {}
        After::Tunnel(tunnel) => return Some(Box::pin(tunnel.run(cx, client))),
    }
    None
}
