//! A client's connection from accept to close: one exchange after another.

use super::after::After;
use super::client::Client;
use super::context::Context;
use super::exchange::exchange;
use ringferry_runtime::net::Stream;
use std::net::IpAddr;
use std::rc::Rc;

/// Serves the connection of a client that came through the listener with this key.
pub async fn serve(cx: Rc<Context>, stream: Stream, address: IpAddr, listener: u64) {
    let mut client = Client::new(&cx, stream, address, listener);
    let mut timeout = cx.view().snapshot.config.timeouts.head;
    while client.wait(&cx, timeout).await {
        // Boxed, all of them: they are large, and an idle connection must not be.
        match Box::pin(exchange(&cx, &mut client)).await {
            After::Keep => timeout = cx.view().snapshot.config.timeouts.idle,
            After::Linger => return Box::pin(client.linger(&cx)).await,
            After::Close => return,
            After::Reset => return client.stream.reset(),
            After::Tunnel(tunnel) => return Box::pin(tunnel.run(&cx, client)).await,
        }
    }
}
