//! What holds for every input, one function for each untrusted kind. The fuzz targets call them with what the fuzzer
//! invents; `tests/properties.rs` calls them with the corpora and with generated inputs, without a fuzzer.

use ringferry_parser::h1::chunked::{ChunkError, ChunkedDecoder, Step};
use ringferry_parser::h1::trailers::{self, TrailerSlots};
use ringferry_parser::h1::{
    FieldSlots, Fields, HeadError, HeadLimits, Known, Method, Parsed, Version, request, response,
};
use ringferry_parser::host::{self, Authority, HOST_BYTES_MAX};
use ringferry_parser::path::{self, Path};
use ringferry_parser::proxy_protocol::{self, Addresses, ProxyError, Transport};
use ringferry_parser::tls::{HelloError, HelloReader};
use std::net::SocketAddr;

/// Small enough for short inputs to reach them.
const LIMITS: HeadLimits = HeadLimits { bytes: 512, fields: 12 };

/// How many cuts are tried: all of them in inputs as short as those of the corpora.
const CUTS_MAX: usize = 600;

/// A request head is accepted or refused the same way however it arrives, and what is accepted is unambiguous.
pub(crate) fn request_head(data: &[u8]) {
    let read = |data: &[u8]| -> Result<Option<usize>, HeadError> {
        let mut slots = FieldSlots::new();
        let Parsed::Complete(head) = request::parse(data, &mut slots, &LIMITS)? else { return Ok(None) };
        let hosts = head.fields.all(Known::Host).count();
        assert!(hosts == 1 || (hosts == 0 && head.version == Version::H10), "{hosts} Host fields");
        assert!(head.target.path().starts_with('/'), "the path is rooted");
        let section = data[..head.head_len].trim_ascii_start();
        assert_unambiguous(section, head.fields);
        Ok(Some(head.head_len))
    };
    assert_same_at_every_cut(data, read);
}

/// The same for response heads, whatever the request was.
pub(crate) fn response_head(data: &[u8]) {
    for method in [Method::Get, Method::Head, Method::Connect] {
        let read = |data: &[u8]| -> Result<Option<usize>, HeadError> {
            let mut slots = FieldSlots::new();
            let Parsed::Complete(head) = response::parse(data, &mut slots, &LIMITS, method)? else { return Ok(None) };
            assert!((100..1000).contains(&head.status), "status {}", head.status);
            assert_unambiguous(&data[..head.head_len], head.fields);
            Ok(Some(head.head_len))
        };
        assert_same_at_every_cut(data, read);
    }
}

/// A chunked body decodes the same however it is cut; what a relay passes on decodes to the same data; trailers are
/// held to the rules of heads.
pub(crate) fn chunked(data: &[u8]) {
    let whole = decode(data, data.len());
    for cut in 0..data.len().min(CUTS_MAX) {
        assert_eq!(decode(data, cut), whole, "decoded, cut at {cut}");
    }
    let (passed, end, error) = relay(data, data.len());
    for cut in 0..data.len().min(CUTS_MAX) {
        assert_eq!(relay(data, cut), (passed.clone(), end, error), "passed on, cut at {cut}");
    }
    assert_eq!((end, error), (whole.1, whole.2), "both readings end alike");
    if error.is_none() {
        assert_eq!(decode(&passed, passed.len()).0, whole.0, "what is passed on holds the same data");
        assert_eq!(relay(&passed, passed.len()).0, passed, "and nothing more to leave out");
    }

    if let Some(end) = end {
        let read = |data: &[u8]| -> Result<Option<usize>, HeadError> {
            let mut slots = TrailerSlots::new();
            let Parsed::Complete(found) = trailers::parse(data, &mut slots)? else { return Ok(None) };
            assert!(!data[..found.len].split(|&byte| byte == b'\n').any(|line| line == b"\r\r"), "no bare CR");
            Ok(Some(found.len))
        };
        assert_same_at_every_cut(&data[end..], read);
    }
}

/// Hosts and paths have one spelling, which is a fixed point.
pub(crate) fn host_path(data: &[u8]) {
    if let Ok(authority) = Authority::parse(data) {
        let (mut first, mut second) = ([0; HOST_BYTES_MAX], [0; HOST_BYTES_MAX]);
        let once = host::normalize(authority.host, &mut first);
        assert!(!once.is_empty() && !once.ends_with(b"."), "{once:?}");
        assert!(!once.iter().any(|byte| byte.is_ascii_uppercase() || *byte <= b' '), "{once:?}");
        assert_eq!(host::normalize(once, &mut second), once);
        assert_eq!(Authority::parse(once).map(|again| again.host), Ok(once));
        assert_eq!(authority.normal(&mut second), once);
    }
    let mut scratch = path::Scratch::default();
    let Ok(raw) = str::from_utf8(data) else { return };
    if let Ok(Path { decoded, normal: once, .. }) = Path::read(raw, &mut scratch) {
        let separators = |path: &[u8]| path.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count();
        assert_eq!(separators(decoded), separators(data), "{raw:?}");
        let lower = raw.to_ascii_lowercase();
        if let Ok(decoded) = str::from_utf8(decoded)
            && !["%2f", "%5c"].iter().any(|separator| lower.contains(separator))
        {
            assert_eq!(path::strip_prefix(data, decoded), Some(&b""[..]), "{raw:?}");
        }
        if let Ok(once) = str::from_utf8(once)
            && !once.contains('%')
        {
            assert_eq!(path::normalize(once, &mut Vec::new()), Ok(once.as_bytes()), "{raw:?}");
        }
        assert_eq!(once.first(), Some(&b'/'), "{raw:?}");
        assert!(once.len() <= raw.len(), "{raw:?}");
        let mut segments = once[1..].split(|&byte| byte == b'/').rev();
        let last = segments.next().unwrap_or_default();
        assert!(!matches!(last, b"." | b".."), "{raw:?}");
        assert!(!segments.any(|segment| matches!(segment, b"" | b"." | b"..")), "{raw:?}");
        assert!(!once.contains(&0) && !once.contains(&b'\\'), "{raw:?}");
    }
}

/// A ClientHello reads the same however it arrives and however its records cut it.
pub(crate) fn client_hello(data: &[u8]) {
    assert_same_at_every_cut(data, |data| read_hello(&mut HelloReader::new(), data));
    let whole = read_hello(&mut HelloReader::new(), data);
    let mut reader = HelloReader::new();
    for end in 0..data.len() {
        match read_hello(&mut reader, &data[..end]) {
            Ok(None) => {}
            verdict => return assert_eq!(verdict, whole, "grown to {end} bytes"),
        }
    }
    // The fuzzer need not find out about lengths of messages and records to get to what is within.
    let message = message(data);
    let framed = read_hello(&mut HelloReader::new(), &records(&message, 1 << 14));
    assert_ne!(framed, Ok(None), "a whole message has a verdict");
    for size in [100, 1000] {
        let cut = read_hello(&mut HelloReader::new(), &records(&message, size));
        assert_eq!(cut, framed, "in records of {size} bytes");
    }
}

type Found = (Option<String>, Vec<Vec<u8>>);

fn read_hello(reader: &mut HelloReader, data: &[u8]) -> Result<Option<Found>, HelloError> {
    let Parsed::Complete(hello) = reader.read(data)? else { return Ok(None) };
    if let Some(name) = hello.server_name {
        assert_eq!(
            Authority::parse(name.as_bytes()).map(|found| found.host),
            Ok(name.as_bytes()),
            "the name is a host"
        );
    }
    let alpn: Vec<_> = hello.alpn.iter().map(<[u8]>::to_vec).collect();
    assert!(alpn.iter().all(|protocol| !protocol.is_empty()), "no protocol is empty");
    Ok(Some((hello.server_name.map(String::from), alpn)))
}

/// A ClientHello with this body.
pub(crate) fn message(body: &[u8]) -> Vec<u8> {
    [&[1], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A handshake message in records of so many bytes.
pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat();
    message.chunks(size).flat_map(record).collect()
}

/// A PROXY protocol header reads the same however it arrives, and says the same when it is written again.
pub(crate) fn proxy_protocol(data: &[u8]) {
    let read = |data: &[u8]| -> Result<Option<(Option<Addresses>, usize)>, ProxyError> {
        let Parsed::Complete(header) = proxy_protocol::parse(data)? else { return Ok(None) };
        assert!(header.len <= data.len());
        Ok(Some((header.addresses, header.len)))
    };
    assert_same_at_every_cut(data, read);

    let Ok(Some((Some(addresses), _))) = read(data) else { return };
    let families = [addresses.source, addresses.destination].map(|end| end.is_ipv4());
    assert_eq!(families[0], families[1], "both ends are of one family");
    let canonical = |end: SocketAddr| (end.ip().to_canonical(), end.port());
    let (mut v1, mut v2) = (Vec::new(), Vec::new());
    proxy_protocol::write_v1(addresses, &mut v1);
    proxy_protocol::write_v2(Transport::Stream, addresses, &mut v2);
    for wire in [v1, v2] {
        let Ok(Some((Some(again), len))) = read(&wire) else { panic!("{wire:?} tells no addresses") };
        assert_eq!(len, wire.len());
        assert_eq!(canonical(again.source), canonical(addresses.source));
        assert_eq!(canonical(again.destination), canonical(addresses.destination));
    }
}

/// The first verdict on a growing buffer is the verdict on all of it.
fn assert_same_at_every_cut<T, E>(data: &[u8], read: impl Fn(&[u8]) -> Result<Option<T>, E>)
where
    Result<Option<T>, E>: PartialEq + std::fmt::Debug,
{
    let whole = read(data);
    for end in 0..data.len().min(CUTS_MAX) {
        match read(&data[..end]) {
            Ok(None) => {}
            verdict => return assert_eq!(verdict, whole, "after {end} bytes"),
        }
    }
}

/// Readings more lenient than ours find the same lines: CR and LF only as pairs, no control bytes, a line a field.
fn assert_unambiguous(section: &[u8], fields: Fields<'_, '_>) {
    let text: Vec<&[u8]> = section.split(|&byte| byte == b'\n').collect();
    let [lines @ .., b"\r", b""] = &text[..] else { panic!("a blank line ends the head") };
    assert_eq!(lines.len(), fields.len() + 1, "one line for each field");
    for line in lines {
        let Some(line) = line.strip_suffix(b"\r") else { panic!("a bare LF") };
        assert!(!line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'), "a control byte in {line:?}");
    }
    for (line, field) in lines[1..].iter().zip(fields.iter()) {
        let Some(value) = line.strip_prefix(field.name.as_bytes()).and_then(|rest| rest.strip_prefix(b":")) else {
            panic!("{} does not start its line", field.name);
        };
        assert_eq!(value.trim_ascii(), field.value);
    }
    let framings = fields.iter().filter(|field| matches!(field.known, Known::ContentLength | Known::TransferEncoding));
    assert!(framings.count() <= 1 || fields.all(Known::ContentLength).count() == 0, "two framings");
}

type Decoded = (Vec<u8>, Option<usize>, Option<ChunkError>);

/// The data, where the trailer section starts, what is wrong; the input given in two pieces.
fn decode(wire: &[u8], cut: usize) -> Decoded {
    let mut decoder = ChunkedDecoder::new();
    let (mut data, mut start) = (Vec::new(), 0);
    for end in [cut, wire.len()] {
        while start < end {
            match decoder.step(&wire[start..end]) {
                Ok(Step::Data { from, to }) => {
                    data.extend_from_slice(&wire[start + from..start + to]);
                    start += to;
                }
                Ok(Step::NeedMore) => start = end,
                Ok(Step::End { used }) => return (data, Some(start + used), None),
                Err(error) => return (data, None, Some(error)),
            }
        }
    }
    (data, None, None)
}

/// What is passed on, where the trailer section starts, what is wrong. What came with an error is not compared: how
/// much of it was passed on depends on the cut.
fn relay(wire: &[u8], cut: usize) -> Decoded {
    let mut decoder = ChunkedDecoder::new();
    let (mut passed, mut start) = (Vec::new(), 0);
    for end in [cut, wire.len()] {
        while start < end {
            match decoder.scan(&wire[start..end]) {
                Ok(scan) => {
                    passed.extend_from_slice(&wire[start..start + scan.forward]);
                    start += scan.used;
                    if scan.last {
                        return (passed, Some(start), None);
                    }
                }
                Err(error) => return (Vec::new(), None, Some(error)),
            }
        }
    }
    (passed, None, None)
}
