//! What a client is going to ask for, and what the server is to answer: drawn by the client, and carried by the target of the
//! request, so that a server needs to know nothing else.

use crate::draw::Draw;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
    /// By the end of the connection; of responses alone.
    Close,
}

/// What goes wrong at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    /// It closes before it has answered.
    NoAnswer,
    /// It resets the connection in the middle of the body, at this byte.
    Reset(u32),
    /// It answers what is no HTTP.
    Garbage,
    /// It never answers.
    Silent,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) id: u32,
    pub(crate) method: &'static str,
    /// Bytes of the request's body.
    pub(crate) up: u32,
    pub(crate) up_framing: Framing,
    /// The client waits to be told to send the body.
    pub(crate) expects: bool,
    /// The client asks for the connection to be closed.
    pub(crate) last: bool,
    pub(crate) answer: Answer,
}

/// What the server does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) len: u32,
    pub(crate) framing: Framing,
    /// It thinks this long, in milliseconds.
    pub(crate) delay_ms: u32,
    /// Interim responses before the final one.
    pub(crate) interims: u32,
    pub(crate) mishap: Mishap,
    /// It closes the connection after this answer.
    pub(crate) closes: bool,
    /// It answers before it has read the body.
    pub(crate) early: bool,
}

impl Exchange {
    /// An exchange; `calm`: one in which nothing goes wrong.
    pub(crate) fn draw(draw: &mut Draw, id: u32, calm: bool) -> Exchange {
        let method = draw.pick(&["GET", "GET", "GET", "HEAD", "PUT", "POST", "POST", "DELETE"]);
        let has_body = matches!(method, "PUT" | "POST");
        let up = if has_body { draw.length() } else { 0 };
        let up_framing = if has_body && draw.once_in(3) { Framing::Chunked } else { Framing::Length };
        let framing = draw.pick(&[Framing::Length, Framing::Length, Framing::Chunked, Framing::Close]);
        let len = draw.length();
        let mishap = match draw.below(if calm { 1 } else { 24 }) {
            20 => Mishap::NoAnswer,
            21 => Mishap::Reset(draw.below(u64::from(len) + 1) as u32),
            22 => Mishap::Garbage,
            23 if draw.once_in(4) => Mishap::Silent,
            _ => Mishap::None,
        };
        let answer = Answer {
            status: if calm { 200 } else { draw.pick(&[200, 200, 200, 200, 200, 204, 304, 404, 500]) },
            len,
            framing,
            delay_ms: if draw.once_in(3) { draw.below(3_000) as u32 } else { 0 },
            interims: if draw.once_in(8) { draw.within(1, 4) as u32 } else { 0 },
            mishap,
            closes: draw.once_in(6),
            early: !calm && up > 0 && matches!(mishap, Mishap::None | Mishap::Reset(_)) && draw.once_in(8),
        };
        Exchange { id, method, up, up_framing, expects: up > 0 && draw.once_in(6), last: false, answer }
    }

    /// The target that tells the server.
    pub(crate) fn target(&self) -> String {
        let Answer { status, len, framing, delay_ms, interims, mishap, closes, early } = self.answer;
        let framing = match framing {
            Framing::Length => 0,
            Framing::Chunked => 1,
            Framing::Close => 2,
        };
        let (mishap, at) = match mishap {
            Mishap::None => (0, 0),
            Mishap::NoAnswer => (1, 0),
            Mishap::Reset(at) => (2, at),
            Mishap::Garbage => (3, 0),
            Mishap::Silent => (4, 0),
        };
        let flags = u8::from(closes) + 2 * u8::from(early);
        format!("/{}/{status}.{len}.{framing}.{delay_ms}.{interims}.{mishap}.{at}.{flags}", self.id)
    }

    /// An answer of this status has no body, whatever it says of one.
    pub(crate) fn is_bodiless(&self, status: u16) -> bool {
        self.method == "HEAD" || matches!(status, 204 | 304)
    }
}

/// What a target says.
pub(crate) fn read_target(target: &str) -> Option<(u32, Answer)> {
    let (id, plan) = target.strip_prefix('/')?.split_once('/')?;
    let numbers: Vec<u32> = plan.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [status, len, framing, delay_ms, interims, mishap, at, flags] = numbers.try_into().ok()?;
    let answer = Answer {
        status: status as u16,
        len,
        framing: [Framing::Length, Framing::Chunked, Framing::Close][framing as usize],
        delay_ms,
        interims,
        mishap: [Mishap::None, Mishap::NoAnswer, Mishap::Reset(at), Mishap::Garbage, Mishap::Silent][mishap as usize],
        closes: flags & 1 != 0,
        early: flags & 2 != 0,
    };
    Some((id.parse().ok()?, answer))
}
