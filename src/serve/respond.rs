//! From the head that a server sent to the head that the client gets: the whole decision, without waiting.

use super::context::Context;
use super::plan::{Facts, Plan, Text};
use crate::proto::error::{Cause, Error, Stage};
use crate::proto::h1::{check_switch, client_framing, passes_interim, server_stays};
use crate::proto::headers::{ResponseCx, write_interim, write_response, write_switch};
use crate::relay::Framer;
use ringferry_parser::h1::{
    FieldSlots, HeadLimits, Known, Parsed, RequestHead, ResponseBody, ResponseHead, request, response,
};
use ringferry_runtime::Recycled;

/// What has come from the server.
pub(super) enum Response {
    /// The head is not whole yet.
    NeedMore,
    /// An interim response; empty where the client would not understand it.
    Interim(Vec<u8>),
    /// A switch of protocols that was asked for.
    Switch(Vec<u8>),
    /// The final response.
    Final(Recycled<Final>),
}

/// A final response, about to be sent.
pub(super) struct Final {
    pub(super) status: u16,
    pub(super) head: Vec<u8>,
    pub(super) framer: Framer,
    /// The client's connection serves another request after this one.
    pub(super) client_stays: bool,
    /// The server's connection can carry another request.
    pub(super) server_stays: bool,
    /// Only the end of the connection ends the body for the client.
    pub(super) ends_by_close: bool,
    /// A stream of events: silence is normal.
    pub(super) is_events: bool,
}

/// Reads the head at the front of `bytes`. Returns how long it was, and what it means. `request_ends` tells whether
/// the request has ended, or is expected to end like any other.
pub(super) fn respond(
    cx: &Context,
    plan: &Plan,
    facts: &Facts,
    bytes: &[u8],
    request_ends: bool,
) -> Result<(usize, Response), Error> {
    let config = &plan.view.snapshot.config;
    let limits = HeadLimits { bytes: config.limits.head_bytes, fields: config.limits.header_count };
    let mut slots = FieldSlots::new();
    let head = match response::parse(bytes, &mut slots, &limits, plan.method) {
        Ok(Parsed::Complete(head)) => head,
        Ok(Parsed::Partial) => return Ok((0, Response::NeedMore)),
        Err(error) => return Err(Error::upstream(Stage::ResponseHead, Cause::Head(error))),
    };
    let route = plan.config();
    let date = |out: &mut Vec<u8>| out.extend_from_slice(&cx.date().0);
    let framing = client_framing(plan.version, head.body);
    // An early error is often all that the server reads of a request: then its rest would be thrown away.
    let request_ends = request_ends || (head.status < 400 && !plan.expects_continue);
    let stays = plan.stays && framing != ResponseBody::Close && request_ends && !cx.is_ending();
    let response_cx = ResponseCx {
        framing,
        keep_alive: stays,
        client_version: plan.version,
        date: &date,
        strip_prefix: route.strip_prefix.then_some(&*route.path),
        // Of no use without a prefix.
        host: if route.strip_prefix { str::from_utf8(facts.text(Text::Host)).unwrap_or_default() } else { "" },
        via: config.via,
        hsts: if plan.secure { plan.view.snapshot.tls.hsts(plan.route.site) } else { None },
    };
    let mut out = cx.handle.take_bytes();
    let response = if head.status == 101 {
        check_switched(plan, &head)?;
        write_switch(&head, &response_cx, &mut out);
        Response::Switch(out)
    } else if head.is_interim() {
        if passes_interim(plan.version) {
            write_interim(&head, &response_cx, &mut out);
        }
        Response::Interim(out)
    } else {
        write_response(&head, &response_cx, &mut out);
        Response::Final(cx.handle.recycle(Final {
            status: head.status,
            head: out,
            framer: Framer::response(head.body, framing),
            client_stays: stays,
            server_stays: server_stays(&head, true),
            ends_by_close: framing == ResponseBody::Close,
            is_events: is_events(&head),
        }))
    };
    Ok((head.head_len, response))
}

/// Whether the client asked for the switch: read again from the head that we sent.
fn check_switched(plan: &Plan, response: &ResponseHead<'_, '_>) -> Result<(), Error> {
    let refused = |cause| Error::upstream(Stage::ResponseHead, cause);
    let sent = plan.head.take().unwrap_or_default();
    let result = check_sent(&sent, response).map_err(refused);
    plan.head.set(Some(sent));
    result
}

fn check_sent(sent: &[u8], response: &ResponseHead<'_, '_>) -> Result<(), Cause> {
    let mut slots = FieldSlots::new();
    let limits = HeadLimits { bytes: usize::MAX, fields: usize::MAX };
    let sent: RequestHead<'_, '_> = match request::parse(sent, &mut slots, &limits) {
        Ok(Parsed::Complete(head)) => head,
        _ => return Err(Cause::UnaskedSwitch),
    };
    check_switch(&sent, response)
}

fn is_events(head: &ResponseHead<'_, '_>) -> bool {
    let kind = head.fields.first(Known::ContentType).unwrap_or_default();
    kind.len() >= EVENTS.len() && kind[..EVENTS.len()].eq_ignore_ascii_case(EVENTS)
}

const EVENTS: &[u8] = b"text/event-stream";
