use super::*;
use crate::Parsed;

/// What a test compares: the name, and the protocols with a space between them.
type Summary = (Option<String>, String);

fn read(reader: &mut HelloReader, received: &[u8]) -> Result<Option<Summary>, HelloError> {
    let Parsed::Complete(hello) = reader.read(received)? else { return Ok(None) };
    let protocols: Vec<_> = hello.alpn.iter().map(String::from_utf8_lossy).collect();
    Ok(Some((hello.server_name.map(String::from), protocols.join(" "))))
}

/// The verdict on the whole, on what one reader sees grow byte by byte, and on two pieces: the same, and no more memory
/// than has been received.
#[track_caller]
fn verdict(wire: &[u8]) -> Result<Option<Summary>, HelloError> {
    let whole = read(&mut HelloReader::new(), wire);
    let mut reader = HelloReader::new();
    let mut grown = Ok(None);
    for end in 0..=wire.len() {
        grown = read(&mut reader, &wire[..end]);
        assert!(reader.message.capacity() <= end, "{end} bytes take {}", reader.message.capacity());
        if grown != Ok(None) {
            assert_eq!(read(&mut reader, wire), grown, "asked again with more");
            assert!(reader.message.capacity() <= end, "asked again, {end} bytes take {}", reader.message.capacity());
            break;
        }
    }
    assert_eq!(grown, whole, "byte by byte, then at once");
    // Every cut in short ones.
    for cut in (0..wire.len()).step_by(wire.len() / 512 + 1) {
        let mut reader = HelloReader::new();
        let _ = read(&mut reader, &wire[..cut]);
        assert_eq!(read(&mut reader, wire), whole, "cut at {cut}");
    }
    whole
}

#[track_caller]
fn accept(wire: &[u8], name: impl Into<Option<&'static str>>, alpn: &str) {
    assert_eq!(verdict(wire), Ok(Some((name.into().map(String::from), alpn.into()))));
    // What follows may be early data, which is none of our business, and a part is never taken for the whole.
    let with_more = [wire, b"\x14\x03\x03\x00\x01\x01"].concat();
    assert_eq!(read(&mut HelloReader::new(), &with_more), read(&mut HelloReader::new(), wire));
    assert_eq!(read(&mut HelloReader::new(), &wire[..wire.len() - 1]), Ok(None));
}

#[track_caller]
fn refuse(wire: &[u8], expect: HelloError) {
    assert_eq!(verdict(wire), Err(expect));
}

/// Bytes with their length in front, in so many bytes.
fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[4 - width..], bytes].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &*vector(2, data)].concat()
}

/// A `server_name` extension with names of these types.
fn typed_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let entries: Vec<_> = names.iter().map(|(kind, name)| [&[*kind], &*vector(2, name)].concat()).collect();
    extension(0, &vector(2, &entries.concat()))
}

fn name(name: &str) -> Vec<u8> {
    typed_names(&[(0, name.as_bytes())])
}

fn alpn(protocols: &[&str]) -> Vec<u8> {
    let entries: Vec<_> = protocols.iter().map(|protocol| vector(1, protocol.as_bytes())).collect();
    extension(16, &vector(2, &entries.concat()))
}

/// The fields in front of the extensions.
fn fields(session_id: usize, cipher_suites: &[u8], compressions: &[u8]) -> Vec<u8> {
    let start = [b"\x03\x03", &[7; 32][..], &vector(1, &vec![9; session_id])].concat();
    [start, vector(2, cipher_suites), vector(1, compressions)].concat()
}

fn usual_fields() -> Vec<u8> {
    fields(32, b"\x13\x01\xc0\x2f", b"\0")
}

fn message(body: &[u8]) -> Vec<u8> {
    [&[1], &*vector(3, body)].concat()
}

/// A message with these extensions.
fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    message(&[usual_fields(), vector(2, &extensions.concat())].concat())
}

/// A message in records of so many bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [b"\x16\x03\x01", &*vector(2, part)].concat()).collect()
}

/// A hello with these extensions in one record.
fn plain(extensions: &[Vec<u8>]) -> Vec<u8> {
    records(&hello(extensions), RECORD)
}

/// Bytes in the longest record.
const RECORD: usize = 16 * 1024;

const GREASE: u16 = 0x0a0a;
const PADDING: u16 = 21;

#[test]
fn name_and_protocols_are_found() {
    accept(&plain(&[name("a.test")]), "a.test", "");
    accept(&plain(&[name("A.TeSt.")]), "A.TeSt.", "");
    accept(&plain(&[alpn(&["h2", "http/1.1"]), name("a.test")]), "a.test", "h2 http/1.1");
    accept(&plain(&[alpn(&["acme-tls/1"])]), None, "acme-tls/1");
    // A kind of name that nobody uses, but everybody can step over.
    accept(&plain(&[typed_names(&[(9, b"\xff"), (0, b"a.test")])]), "a.test", "");
    accept(&plain(&[typed_names(&[(9, b"x")])]), None, "");
}

#[test]
fn an_address_is_no_name() {
    for text in ["192.0.2.1", "::1", "2001:db8::7"] {
        accept(&plain(&[name(text), alpn(&["http/1.1"])]), None, "http/1.1");
    }
}

#[test]
fn hellos_without_extensions_have_no_name() {
    accept(&plain(&[]), None, "");
    accept(&records(&message(&usual_fields()), RECORD), None, "");
    accept(&records(&message(&fields(0, b"\0\x0a", b"\x01\0")), RECORD), None, "");
}

#[test]
fn what_is_unknown_passes() {
    let grease = extension(GREASE, b"");
    accept(&plain(&[grease.clone(), grease, name("a.test"), extension(0xfafa, b"\0")]), "a.test", "");
    let key_share = extension(51, &vector(2, &[b"\x11\xec", &*vector(2, &[5; 1216])].concat()));
    accept(&plain(&[key_share, name("a.test"), alpn(&["h2"])]), "a.test", "h2");
    let ech = extension(0xfe0d, &[b"\0\0\x01\0\x01\x42", &*vector(2, &[6; 32]), &vector(2, &[8; 144])].concat());
    accept(&plain(&[name("public.test"), ech]), "public.test", "");
    accept(&plain(&[name("a.test"), extension(41, &[1; 73])]), "a.test", "");
}

#[test]
fn records_may_cut_the_message_anywhere() {
    let message = hello(&[name("a.test"), alpn(&["h2"])]);
    for size in 1..=message.len() {
        accept(&records(&message, size), "a.test", "h2");
    }
    for cut in 1..message.len() {
        let (start, end) = message.split_at(cut);
        accept(&[records(start, RECORD), records(end, RECORD)].concat(), "a.test", "h2");
    }
}

#[test]
fn every_record_version_since_ssl_3_passes() {
    for minor in 0..=4 {
        let mut wire = plain(&[name("a.test")]);
        wire[2] = minor;
        accept(&wire, "a.test", "");
    }
}

#[test]
fn long_hellos_pass_up_to_the_limit() {
    let long = |len: usize| hello(&[extension(PADDING, &vec![0; len]), name("a.test")]);
    let most = HELLO_BYTES_MAX - long(0).len();
    for len in [4000, 15_500, 17_000, 60_000, most] {
        accept(&records(&long(len), RECORD), "a.test", "");
    }
    refuse(&records(&long(most + 1), RECORD), HelloError::TooLong);
    // At once, not when all of it has come.
    refuse(&records(&long(most + 1), RECORD)[..9], HelloError::TooLong);
    refuse(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", HelloError::TooLong);
}

#[test]
fn long_hellos_in_tiny_records_are_refused() {
    let long = |len: usize| records(&hello(&[extension(PADDING, &vec![0; len]), name("a.test")]), 1);
    accept(&long(2800), "a.test", "");
    let wire = long(20_000);
    refuse(&wire, HelloError::TooLong);
    assert_eq!(read(&mut HelloReader::new(), &wire[..WIRE_BYTES_MAX - 1]), Ok(None));
}

#[test]
fn records_that_are_read_are_not_read_again() {
    let wire = records(&hello(&[name("a.test")]), 1);
    let mut reader = HelloReader::new();
    for end in 0..wire.len() {
        assert_eq!(read(&mut reader, &wire[..end]), Ok(None));
        assert_eq!(reader.record_start, end - end % 6);
    }
}

#[test]
fn other_records_and_messages_are_refused() {
    refuse(b"GET / HTTP/1.1\r\n", HelloError::RecordType);
    refuse(b"\x80\x2e\x01\x03\x01\x00\x15", HelloError::RecordType);
    refuse(b"\x15\x03\x01\x00\x02", HelloError::RecordType);
    refuse(b"\x16\x02\x00\x00\x05", HelloError::RecordVersion);
    refuse(b"\x16\x03\x05\x00\x05", HelloError::RecordVersion);
    refuse(b"\x16\xfe\xff\x00\x00", HelloError::RecordVersion);
    refuse(b"\x16\x03\x01\x00\x00", HelloError::RecordEmpty);
    refuse(b"\x16\x03\x01\x40\x01", HelloError::RecordTooLong);
    refuse(b"\x16\x03\x01\x00\x04\x02", HelloError::NotClientHello);
    let half = &hello(&[name("a.test")])[..60];
    let start = records(half, RECORD);
    refuse(&[&*start, b"\x14\x03\x01\x00\x01\x01"].concat(), HelloError::RecordType);
    refuse(&[&*start, b"\x16\x03\x01\x00\x00"].concat(), HelloError::RecordEmpty);
    refuse(&[&*start, b"\x16\x03\x01\xff\xff"].concat(), HelloError::RecordTooLong);
}

#[test]
fn nothing_may_follow_the_hello_in_its_record() {
    let message = hello(&[name("a.test")]);
    let longer = [&*message, b"\0"].concat();
    for size in [2, 4, 5, 50, message.len(), RECORD] {
        let wire = records(&longer, size);
        // Where it ends with a record, what follows is another record.
        match message.len() % size {
            0 => assert_eq!(verdict(&wire), Ok(Some((Some("a.test".into()), String::new()))), "{size}"),
            _ => refuse(&wire, HelloError::BytesBehind),
        }
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let good = hello(&[name("a.test"), alpn(&["h2"])]);
    // Every length in it, where it stands and how many bytes it has.
    let session = 4 + 34;
    let ciphers = session + 33;
    let compressions = ciphers + 6;
    let extensions = compressions + 2;
    let name_data = extensions + 4;
    let alpn_data = name_data + 2 + 11 + 2;
    for at in [session, ciphers + 1, compressions, extensions + 1, name_data + 1, name_data + 3, name_data + 6] {
        lie(&good, at);
    }
    for at in [alpn_data + 1, alpn_data + 3, alpn_data + 4] {
        lie(&good, at);
    }
    assert_eq!(&good[name_data + 7..][..6], b"a.test");
    assert_eq!(&good[alpn_data + 5..], b"h2");
}

/// One more, one less, and far too many.
#[track_caller]
fn lie(good: &[u8], at: usize) {
    for value in [good[at] + 1, good[at] - 1, 0xff] {
        let mut message = good.to_vec();
        message[at] = value;
        refuse(&records(&message, RECORD), HelloError::Length);
    }
}

#[test]
fn fields_are_within_their_ranges() {
    for fields in [fields(33, b"\x13\x01", b"\0"), fields(0, b"", b"\0"), fields(0, b"\x13", b"\0")] {
        refuse(&records(&message(&fields), RECORD), HelloError::Length);
    }
    refuse(&records(&message(&fields(0, b"\x13\x01", b"")), RECORD), HelloError::Length);
    let behind = [usual_fields(), vector(2, &name("a.test")), vec![0]].concat();
    refuse(&records(&message(&behind), RECORD), HelloError::Length);
    for len in 0..usual_fields().len() {
        refuse(&records(&message(&usual_fields()[..len]), RECORD), HelloError::Length);
    }
    refuse(&plain(&[extension(0, b"")]), HelloError::Length);
    refuse(&plain(&[extension(0, b"\0\0")]), HelloError::Length);
    refuse(&plain(&[extension(16, b"")]), HelloError::Length);
}

#[test]
fn there_is_one_name_and_it_is_a_dns_name() {
    refuse(&plain(&[name("a.test"), name("a.test")]), HelloError::NameRepeated);
    refuse(&plain(&[name("a.test"), alpn(&["h2"]), name("b.test")]), HelloError::NameRepeated);
    refuse(&plain(&[typed_names(&[(0, b"a.test"), (0, b"b.test")])]), HelloError::NameRepeated);
    for text in ["", ".", "a..test", "a.test\0", "a.test/", "a test", "é.test", "a:443", "*.test", "[::1]"] {
        refuse(&plain(&[name(text)]), HelloError::NameInvalid);
    }
    refuse(&plain(&[typed_names(&[(0, b"192.0.2.1"), (0, b"a.test")])]), HelloError::NameRepeated);
    refuse(&plain(&[typed_names(&[(0, b"a\xff.test")])]), HelloError::NameInvalid);
    refuse(&plain(&[name(&"a".repeat(255))]), HelloError::NameInvalid);
}

#[test]
fn there_is_one_list_of_protocols_without_empty_ones() {
    refuse(&plain(&[alpn(&["h2"]), alpn(&["h2"])]), HelloError::AlpnRepeated);
    refuse(&plain(&[alpn(&["h2", ""])]), HelloError::AlpnInvalid);
    refuse(&plain(&[alpn(&[])]), HelloError::AlpnInvalid);
}

#[test]
fn an_alert_is_a_record_that_says_why() {
    assert_eq!(Alert::UnrecognizedName.record(), *b"\x15\x03\x03\x00\x02\x02\x70");
    assert_eq!(HelloError::Length.alert().record()[6], 50);
    assert_eq!(HelloError::RecordTooLong.alert().record()[6], 22);
    assert_eq!(HelloError::NameRepeated.alert().record()[6], 47);
    assert_eq!(HelloError::NotClientHello.alert().record()[6], 10);
    assert_eq!(HelloError::RecordVersion.alert().record()[6], 70);
}
