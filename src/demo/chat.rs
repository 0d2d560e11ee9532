//! The chat: one room; who joins gets the last messages, then every new one.
//!
//! Everything is bounded: members, history, the size of a message, and the queue to a slow member, who misses
//! messages and is told how many.

use super::page::page;
use super::{Response, text};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

pub(super) async fn answer(mut request: Request<Incoming>, room: &Arc<Room>) -> Response {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => page(request.headers(), "Chat", include_str!("pages/chat.html")),
        (&Method::GET, "/ws") => join(&mut request, room),
        (&Method::POST, "/say") => match Limited::new(request.into_body(), MESSAGE_BYTES_MAX).collect().await {
            Ok(body) => {
                room.say(&String::from_utf8_lossy(&body.to_bytes()));
                text(StatusCode::OK, "said\n")
            }
            Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, "A message has at most 4096 bytes.\n"),
        },
        _ => text(StatusCode::NOT_FOUND, "There is /, the WebSocket /ws, and POST /say.\n"),
    }
}

/// Answers the opening handshake (RFC 6455, 4.2) and lets the connection into the room.
fn join(request: &mut Request<Incoming>, room: &Arc<Room>) -> Response {
    let wanted = [(UPGRADE, "websocket"), (CONNECTION, "upgrade"), (SEC_WEBSOCKET_VERSION, "13")];
    let opens = wanted.iter().all(|(field, token)| names(request.headers(), field, token));
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).filter(|_| opens) else {
        let mut response = text(StatusCode::UPGRADE_REQUIRED, "This is a WebSocket; open / in a browser.\n");
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    };
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 can stand in a header");
    let Some(seat) = room.seat() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "The room is full.\n");
    };
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(MESSAGE_BYTES_MAX)
            .write_buffer_size(0)
            .max_write_buffer_size(16 * MESSAGE_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        // However it ends, the seat is free again and the others are told.
        let _ = converse(socket, seat).await;
    });
    let mut response = text(StatusCode::SWITCHING_PROTOCOLS, "");
    *response.headers_mut() = HeaderMap::from_iter([
        (UPGRADE, HeaderValue::from_static("websocket")),
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ]);
    response
}

fn names(headers: &HeaderMap, field: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(field).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

/// One member, from the history to the end of the connection.
async fn converse(mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, mut seat: Seat) -> Result<(), Error> {
    for message in std::mem::take(&mut seat.history) {
        socket.feed(Message::Text(message)).await?;
    }
    socket.flush().await?;
    loop {
        tokio::select! {
            // Pings are answered and a close is returned inside of `next`.
            said = socket.next() => match said.transpose()? {
                Some(Message::Text(said)) => seat.room.say(&said),
                Some(_) => {}
                None => return Ok(()),
            },
            news = seat.news.recv() => match news {
                Ok(message) => socket.send(Message::Text(message)).await?,
                Err(RecvError::Lagged(missed)) => socket.send(Message::text(json!({ "missed": missed }).to_string())).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// The room: what was said last, and the way to everybody in it.
pub(super) struct Room {
    // Also orders joining and saying: who joins sees each message once, in the history or as news.
    history: Mutex<VecDeque<Utf8Bytes>>,
    news: broadcast::Sender<Utf8Bytes>,
}

/// A member's place in the room; dropping it leaves.
struct Seat {
    room: Arc<Room>,
    history: VecDeque<Utf8Bytes>,
    news: broadcast::Receiver<Utf8Bytes>,
}

impl Room {
    pub(super) fn new() -> Arc<Room> {
        Arc::new(Room { history: Mutex::default(), news: broadcast::Sender::new(QUEUE_MAX) })
    }

    fn seat(self: &Arc<Room>) -> Option<Seat> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if self.news.receiver_count() >= MEMBERS_MAX {
            return None;
        }
        let seat = Seat { room: self.clone(), history: history.clone(), news: self.news.subscribe() };
        self.count(self.news.receiver_count());
        Some(seat)
    }

    /// Passes on what a member sent: JSON with a name and a text, as the page sends it, or a bare text.
    fn say(&self, sent: &str) {
        let parsed: Value = serde_json::from_str(sent).unwrap_or_default();
        let (name, text) = match (parsed["name"].as_str(), parsed["text"].as_str()) {
            (name, Some(text)) => (name.unwrap_or(""), text),
            _ => ("", sent),
        };
        let (name, text) = (clip(name, NAME_CHARS_MAX), clip(text, TEXT_CHARS_MAX));
        if text.is_empty() {
            return;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        let name = if name.is_empty() { "Guest" } else { &name };
        let message = Utf8Bytes::from(json!({ "name": name, "text": text, "at": at }).to_string());
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY_MAX {
            history.pop_front();
        }
        history.push_back(message.clone());
        // Fails only when nobody is there.
        let _ = self.news.send(message);
    }

    /// Tells everybody how many are here.
    fn count(&self, here: usize) {
        let _ = self.news.send(Utf8Bytes::from(json!({ "here": here }).to_string()));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The receiver is dropped right after this and still counted here.
        self.room.count(self.room.news.receiver_count() - 1);
    }
}

fn clip(text: &str, chars_max: usize) -> String {
    text.trim().chars().filter(|char| !char.is_control()).take(chars_max).collect()
}

const MEMBERS_MAX: usize = 256;
const HISTORY_MAX: usize = 50;
/// Messages that wait for a slow member before it misses the oldest.
const QUEUE_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4096;
const NAME_CHARS_MAX: usize = 24;
const TEXT_CHARS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use broadcast::error::TryRecvError;

    #[test]
    fn a_slow_member_misses_the_oldest_messages_and_learns_how_many() {
        let room = Room::new();
        let mut slow = room.seat().unwrap();
        for number in 0..100 {
            room.say(&number.to_string());
        }
        // 100 messages and the count of members, of which the queue keeps the last.
        assert_eq!(slow.news.try_recv(), Err(TryRecvError::Lagged(101 - QUEUE_MAX as u64)));
        assert!(slow.news.try_recv().unwrap().contains("\"text\":\"36\""));
    }

    #[test]
    fn a_full_room_takes_nobody_until_somebody_leaves() {
        let room = Room::new();
        let mut seats: Vec<_> = std::iter::from_fn(|| room.seat()).take(2 * MEMBERS_MAX).collect();
        assert_eq!(seats.len(), MEMBERS_MAX);
        seats.pop();
        assert!(room.seat().is_some());
    }

    #[test]
    fn what_is_said_is_cut_to_its_maximum_and_has_no_control_characters() {
        let check = |text: &str, expect: &str| assert_eq!(clip(text, 5), expect);
        check("  hello, world ", "hello");
        check("a\u{0}b\u{1b}[1m\n", "ab[1m");
        check("\n\t ", "");
        check("ééééééé", "ééééé");
    }
}
