//! Addresses to listen on, in the place where they stand: what is spoken there, and whose PROXY headers are taken. An
//! address by itself is in `address`; what several places can get wrong together is in `listeners`.

use super::address::{Peers, split_protocol};
use super::problem::{At, Problems};
use super::reader::{Item, Read, Scalar, Table, Wrong};
use super::schema;
use crate::model::{Cidr, Listener, Protocol};

/// Where addresses stand. It says what is spoken where no protocol is written, and which can be.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// `[listen] http`
    Http,
    /// `[listen] https`
    Https,
    /// A site without TLS.
    PlainSite,
    /// A site with TLS.
    TlsSite,
    /// A site of which that is not clear.
    SomeSite,
    Stream,
}

/// An address as written.
pub(super) struct RawListener<'t> {
    pub(super) listener: Listener,
    /// Of the address alone.
    pub(super) text: String,
    /// What is spoken there was written in front of it.
    named: bool,
    /// The address alone, where it stands.
    item: Item<'t>,
}

/// The addresses to listen on under `key`, those that fit the place.
pub(super) fn listeners<'t>(
    table: &Table<'t>,
    key: &'static str,
    place: Place,
    problems: &mut Problems,
) -> Option<Vec<At<RawListener<'t>>>> {
    let list: At<Vec<At<RawListener>>> = table.get(key, problems)?;
    if table.item(key).is_some_and(|item| item.is_empty_list()) {
        problems.error(list.at, format!("{key} lists no address"), format!("write: {key} = {:?}", place.example()));
    }
    let fitting = list.value.into_iter().filter_map(|At { value, at }| {
        let fitted = place.fit(value, problems)?;
        Some(At { value: fitted, at })
    });
    Some(fitting.collect())
}

/// The listeners alone.
pub(super) fn plain(list: Vec<At<RawListener>>) -> Vec<At<Listener>> {
    list.into_iter().map(|At { value, at }| At { value: value.listener, at }).collect()
}

/// Peers whose word on who the client is counts.
pub(super) fn believed(list: Vec<At<Peers>>, problems: &mut Problems) -> Vec<Cidr> {
    for peers in list.iter().filter(|peers| peers.value.0.iter().any(|set| set.prefix_len == 0)) {
        let hint = "name the addresses of the proxies in front; \"lan\" are all private ones";
        problems.warning(peers.at, "whoever connects can pass for any client", hint);
    }
    list.into_iter().flat_map(|peers| peers.value.0).collect()
}

impl Place {
    /// What is spoken there without a word.
    fn usual(self) -> Option<Protocol> {
        match self {
            Place::Http | Place::PlainSite | Place::SomeSite => Some(Protocol::Http),
            Place::Https | Place::TlsSite => Some(Protocol::Https),
            Place::Stream => None,
        }
    }

    fn example(self) -> &'static str {
        match self {
            Place::Http | Place::PlainSite | Place::SomeSite => ":80",
            Place::Https | Place::TlsSite => ":443",
            Place::Stream => "tcp/:2222",
        }
    }

    fn fit<'t>(self, raw: RawListener<'t>, problems: &mut Problems) -> Option<RawListener<'t>> {
        let protocol = if raw.named { Some(raw.listener.protocol) } else { self.usual() };
        if let Some(wrong) = self.refusal(protocol, &raw) {
            raw.item.wrong(wrong, problems);
            return None;
        }
        let listener = Listener { protocol: protocol?, ..raw.listener };
        Some(RawListener { listener, ..raw })
    }

    /// What is wrong with this protocol there.
    fn refusal(self, protocol: Option<Protocol>, raw: &RawListener) -> Option<Wrong> {
        let (text, bare) = (&raw.text, with_colon(split_protocol(&raw.text).1));
        Some(match (self, protocol) {
            (Place::Stream, None) => Wrong::new(format!("{text:?} does not say whether TCP or UDP is passed on"))
                .write(format_args!("tcp/{bare}")),
            (Place::Stream, Some(Protocol::Http | Protocol::Https)) => {
                Wrong::new(format!("{text:?} is for a site: a stream passes on TCP or UDP"))
                    .write(format_args!("tcp/{bare}"))
            }
            (Place::Stream, Some(Protocol::Udp)) if raw.listener.proxy_protocol.is_some() => Wrong::new(format!(
                "proxy_protocol on {text:?}: datagrams have no beginning that a header could stand at"
            ))
            .say("remove proxy_protocol and from"),
            (Place::Stream, _) => return None,
            (_, Some(Protocol::Tcp | Protocol::Udp)) => {
                Wrong::new(format!("{text:?} is for a stream: sites speak HTTP"))
                    .say(format!("write: [[stream]]\n       listen = {text:?}"))
            }
            (Place::Http, Some(Protocol::Https)) => {
                Wrong::new(format!("{text:?} under http")).say(format!("write: https = {bare:?}"))
            }
            (Place::Https, Some(Protocol::Http)) => {
                Wrong::new(format!("{text:?} under https")).say(format!("write: http = {bare:?}"))
            }
            (Place::PlainSite, Some(Protocol::Https)) => Wrong::new(format!("{text:?} in a site without TLS"))
                .say("write cert and key into the site, or tls = \"internal\", or tls = \"passthrough\""),
            _ => return None,
        })
    }
}

/// A port alone may be written with or without its colon; the usual way is with it.
fn with_colon(bare: &str) -> String {
    let port_alone = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if port_alone { format!(":{bare}") } else { bare.to_owned() }
}

/// An address, or a table that says more of it.
impl<'t> Read<'t> for RawListener<'t> {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawListener<'t>> {
        if !item.is_table() {
            let Address { listener, text, named } = Address::read(item, problems)?;
            return Some(RawListener { listener, text, named, item });
        }
        let table = Table::read(item, &schema::LISTENER, problems)?;
        let proxy_protocol = proxy_protocol(&table, problems);
        if table.item("address").is_none() {
            table.lacks(&["address"], "an address to listen on is not there", "write: address = \":443\"", problems);
        }
        let item = table.item("address")?;
        let Address { listener, text, named } = Address::read(item, problems)?;
        Some(RawListener { listener: Listener { proxy_protocol, ..listener }, text, named, item })
    }
}

/// From whom PROXY headers are taken, and nothing else.
fn proxy_protocol(table: &Table, problems: &mut Problems) -> Option<Vec<Cidr>> {
    let _: Option<At<Required>> = table.get("proxy_protocol", problems);
    let from: Option<At<Vec<At<Peers>>>> = table.get("from", problems);
    match (table.item("proxy_protocol"), table.item("from")) {
        (Some(_), None) => {
            // Whoever may send a header can pass for any client: nobody may unless he is named.
            let hint =
                "write the addresses of the proxies in front, as from = [\"10.0.0.1\"]; \"lan\" are all private ones";
            table.lacks(&["from"], "proxy_protocol without from: whose headers are believed?", hint, problems);
        }
        (None, Some(from)) => {
            let hint = "write proxy_protocol = \"required\" beside it, or remove it";
            problems.error(from.at, "from is for PROXY headers, and none are taken here", hint);
        }
        (_, Some(from)) if from.is_empty_list() => {
            problems.error(from.at, "from lists nobody: nobody may connect", "write: from = [\"10.0.0.1\"]");
        }
        _ => {}
    }
    let from = believed(from?.value, problems);
    table.item("proxy_protocol").map(|_| from)
}

/// The one thing that PROXY headers can be.
struct Required;

impl Scalar for Required {
    const EXAMPLE: &'static str = "\"required\"";

    fn from_text(text: &str) -> Result<Required, Wrong> {
        let what = || format!("{text:?}: a PROXY header is required, or none is looked for; it is never guessed");
        if text == "required" { Ok(Required) } else { Err(Wrong::new(what()).write("required")) }
    }
}

/// An address by itself.
struct Address {
    listener: Listener,
    text: String,
    named: bool,
}

impl Scalar for Address {
    const EXAMPLE: &'static str = Listener::EXAMPLE;

    fn from_text(text: &str) -> Result<Address, Wrong> {
        let listener = Listener::from_text(text)?;
        Ok(Address { listener, named: split_protocol(text).0.is_some(), text: text.to_owned() })
    }
}
