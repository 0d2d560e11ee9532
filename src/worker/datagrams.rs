//! A core as the streams of UDP see it: what is in force, and its log.

use crate::log::Record;
use crate::serve::Context;
use crate::shared::Share;
use crate::snapshot::Bound;
use crate::stream::{FlowEnd, Host, Plan, serve_udp};
use std::rc::Rc;
use std::sync::Arc;

/// Passes on what comes to an address of UDP; see [`serve_udp`].
pub(super) async fn datagrams(cx: Rc<Context>, bound: Arc<Bound>, socket: usize) {
    // A view that has the listener is kept while it works.
    let _through = cx.through(bound.key);
    let host = Rc::new(UdpHost { cx: cx.clone(), listener: bound.key });
    serve_udp(host, Share::clone(&cx), cx.handle.clone(), bound, socket).await;
}

struct UdpHost {
    cx: Rc<Context>,
    /// [`Bound::key`].
    listener: u64,
}

impl Host for UdpHost {
    fn lend(&self, with: &mut dyn FnMut(&Plan<'_>)) {
        let view = self.cx.view();
        let snapshot = &*view.snapshot;
        let stream = snapshot.listener(self.listener).and_then(|id| snapshot.stream(id));
        with(&Plan {
            snapshot,
            views: &view.pools,
            pools: &self.cx.pools,
            gate: stream.map(|(_, gate)| gate),
            is_draining: self.cx.is_ending(),
            has_left: self.cx.has_left(),
        });
    }

    fn ended(&self, end: &FlowEnd<'_>) {
        let cx = &self.cx;
        if cx.log().is_wanted() {
            let view = cx.view();
            let stream = view.snapshot.listener(self.listener).and_then(|id| view.snapshot.stream(id));
            let local = end.local.to_string();
            cx.record(&Record {
                unix_ms: cx.unix_ms(),
                client: end.client.ip().to_canonical(),
                host: b"",
                method: b"UDP",
                target: local.as_bytes(),
                version: "",
                status: 200,
                bytes_in: end.bytes_in,
                bytes_out: end.bytes_out,
                user_agent: b"",
                referer: b"",
                total_us: end.duration.as_micros() as u64,
                connect_us: None,
                first_byte_us: None,
                upstream: end.server,
                retries: 0,
                site: stream.map_or("", |(stream, _)| &*stream.name),
                path: "",
                error: end.error.map(|error| error.label()),
                tunnel: true,
                tls: None,
            });
        }
        cx.connection_closed();
    }
}
