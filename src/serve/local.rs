//! Answers of our own: errors and redirects.

use super::after::After;
use super::client::Client;
use super::context::{Context, View};
use super::plan::{Facts, Place, Reply};
use super::record::Meter;
use crate::model::SiteId;
use crate::proto::error::Error;
use crate::proto::page::{PageCx, write_not_allowed, write_page, write_redirect};
use crate::relay::give_back;
use ringferry_parser::h1::{Target, Version};
use ringferry_runtime::Recycled;
use ringferry_runtime::time::Alarm;
use std::rc::Rc;
use std::time::Duration;

/// Methods that a 405 names.
const ALLOW: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";

/// How long an answer of ours may take to leave.
const SEND_TIME: Duration = Duration::from_secs(10);

/// Sends the answer, logs the exchange, and says how the connection goes on.
pub(super) async fn answer(cx: &Rc<Context>, client: &mut Client, reply: Reply, mut meter: Recycled<Meter>) -> After {
    // A body that is not read would be taken for the next request; so the connection ends, gently.
    let facts = &meter.facts;
    let keep_alive = facts.stays && !facts.has_body && !cx.is_ending();
    let date = cx.date();
    let secure = secure_site(cx, client, facts);
    let page = PageCx {
        html: facts.html,
        is_head: facts.is_head,
        keep_alive,
        client_version: facts.version.unwrap_or(Version::H11),
        date: &date.0,
        hsts: secure.as_ref().and_then(|(view, site)| view.snapshot.tls.hsts(*site)),
    };
    let mut out = cx.handle.take_bytes();
    match &reply {
        Reply::Redirect(redirect, [path, query]) => {
            meter.status = redirect.status;
            let target = Target::Origin { path, query: (!query.is_empty()).then_some(query) };
            meter.passed.down.set(write_redirect(redirect, &target, &page, &mut out));
        }
        Reply::Error(error) => {
            meter.error = Some(*error);
            let Some(status) = error.status() else {
                Meter::finish(meter);
                return After::Cut;
            };
            meter.status = status;
            meter.passed.down.set(match status {
                405 => write_not_allowed(ALLOW, &page, &mut out),
                _ => write_page(status, error, &page, &mut out),
            });
        }
    }
    let sent = send(cx, client, out).await;
    Meter::finish(meter);
    match (sent, keep_alive) {
        (false, _) => After::Cut,
        (true, true) => After::Keep,
        (true, false) => After::Linger,
    }
}

/// The site that an answer by TLS is from: that of the request, or of the handshake where the request could not be read.
/// `None` where it is from none that the client may speak for.
fn secure_site(cx: &Context, client: &Client, facts: &Facts) -> Option<(Rc<View>, SiteId)> {
    let asked = &client.outlet.agreed()?.server_name;
    match &facts.place {
        Place::Site(view, site) => Some((view.clone(), *site)),
        Place::Route(view, found) => Some((view.clone(), found.site)),
        Place::Unknown if facts.version.is_none() => {
            let (view, listener, _) = cx.view_for(client.listener)?;
            let site = view.snapshot.table.site(listener, asked.as_deref().unwrap_or_default().as_bytes())?;
            Some((view, site))
        }
        Place::Unknown | Place::Named(..) => None,
    }
}

/// The page for an error of an exchange whose response has not begun.
pub(super) async fn fail(cx: &Rc<Context>, client: &mut Client, error: Error, meter: Recycled<Meter>) -> After {
    answer(cx, client, Reply::Error(error), meter).await
}

async fn send(cx: &Rc<Context>, client: &Client, out: Vec<u8>) -> bool {
    let mut alarm = Alarm::new(&cx.handle);
    alarm.set(SEND_TIME);
    match alarm.guard(client.outlet.send_whole(out)).await {
        Ok((result, chunk)) => {
            give_back(chunk, &cx.handle);
            result.is_ok()
        }
        Err(_) => false,
    }
}
