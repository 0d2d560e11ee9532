use super::*;

type Outcome = Result<(String, usize), ChunkError>;

/// The data of a body and where it ends, the input given in pieces that end at `cuts`.
fn decode(wire: &[u8], cuts: &[usize]) -> Result<(String, Option<usize>), ChunkError> {
    let mut decoder = ChunkedDecoder::new();
    let (mut data, mut start) = (Vec::new(), 0);
    for &end in cuts.iter().chain([&wire.len()]) {
        while start < end {
            match decoder.step(&wire[start..end])? {
                Step::Data { from, to } => {
                    data.extend_from_slice(&wire[start + from..start + to]);
                    start += to;
                }
                Step::NeedMore => start = end,
                Step::End { used } => return Ok((String::from_utf8(data).unwrap(), Some(start + used))),
            }
        }
    }
    Ok((String::from_utf8(data).unwrap(), None))
}

/// What is passed on up to the trailer section, how much of it was data, and where the section starts.
fn relay(wire: &[u8], cuts: &[usize]) -> Result<(String, usize, Option<usize>), ChunkError> {
    let mut decoder = ChunkedDecoder::new();
    let (mut passed, mut data_bytes, mut start) = (Vec::new(), 0, 0);
    for &end in cuts.iter().chain([&wire.len()]) {
        while start < end {
            let scan = decoder.scan(&wire[start..end])?;
            passed.extend_from_slice(&wire[start..start + scan.forward]);
            data_bytes += scan.data_bytes;
            start += scan.used;
            if scan.last {
                return Ok((String::from_utf8(passed).unwrap(), data_bytes, Some(start)));
            }
        }
    }
    Ok((String::from_utf8(passed).unwrap(), data_bytes, None))
}

/// Both readings of `wire`, at every two cuts: the data, where the trailers start, and what is passed on.
#[track_caller]
fn check(wire: &str, expect: Result<(&str, &str), ChunkError>) {
    let (wire, trailers) = wire.split_once('^').unwrap_or((wire, ""));
    let whole = [wire, trailers].concat();
    let end = wire.len();
    for a in 0..=whole.len() {
        for b in a..=whole.len() {
            let decoded = decode(whole.as_bytes(), &[a, b]);
            assert_eq!(decoded, expect.map(|(data, _)| (data.into(), Some(end))), "{wire:?} cut at {a}, {b}");
            let relayed = relay(whole.as_bytes(), &[a, b]);
            let passed = expect.map(|(data, passed)| (passed.into(), data.len(), Some(end)));
            assert_eq!(relayed, passed, "{wire:?} passed on, cut at {a}, {b}");
        }
    }
}

#[test]
fn plain_chunks_are_passed_on_as_they_are() {
    check("5\r\nhello\r\n0\r\n^\r\n", Ok(("hello", "5\r\nhello\r\n0\r\n")));
    check("1\r\na\r\n2\r\nbc\r\n000\r\n^X: 1\r\n\r\n", Ok(("abc", "1\r\na\r\n2\r\nbc\r\n000\r\n")));
    check("000A\r\n01234\r\n789\r\n0\r\n", Ok(("01234\r\n789", "000A\r\n01234\r\n789\r\n0\r\n")));
    check("0\r\n^5\r\n", Ok(("", "0\r\n")));
}

#[test]
fn extensions_are_left_out() {
    check("5;a=\"b;\\\"c\"\r\nhello\r\n0;z\r\n^\r\n", Ok(("hello", "5\r\nhello\r\n0\r\n")));
    check("1 \t;a\r\nx\r\n1;\r\ny\r\n0\r\n", Ok(("xy", "1\r\nx\r\n1\r\ny\r\n0\r\n")));
}

#[test]
fn sizes_are_hexadecimal_digits_in_range() {
    for size in ["", "+1", "-1", "0x1", " 1", "\t1", "g", "1_0", "1\0", "00000000000000001", "8000000000000000"] {
        check(&format!("{size}\r\nx\r\n0\r\n"), Err(ChunkError::Size));
    }
    let mut decoder = ChunkedDecoder::new();
    assert_eq!(decoder.step(b"7fffffffffffffff\r\nab"), Ok(Step::Data { from: 18, to: 20 }));
}

#[test]
fn lines_and_data_end_in_cr_lf() {
    for wire in
        ["1\nx\r\n0\r\n", "1\rx\r\n", "1\r\nx\n0\r\n", "1\r\nxy\r\n0\r\n", "1\r\nx0\r\n", "1\r\nx\r0\r\n", "0\n\n"]
    {
        check(wire, Err(ChunkError::LineEnd));
    }
    check("1\r\nx\r\n\r\n0\r\n", Err(ChunkError::Size));
}

#[test]
fn what_is_no_extension_is_refused() {
    for wire in ["1 \r\nx\r\n", "1 x\r\nx\r\n", "1;a\nb\r\nx\r\n", "1;a\0\r\nx\r\n"] {
        check(wire, Err(ChunkError::Extension));
    }
    check("1;a\rb\r\nx\r\n", Err(ChunkError::LineEnd));
}

#[test]
fn extensions_are_bounded_on_a_line_and_in_a_body() {
    let run = |line: usize, lines: usize| {
        let chunk = format!("1{}\r\nx\r\n", ";".repeat(line));
        decode(chunk.repeat(lines).as_bytes(), &[]).err()
    };
    assert_eq!(run(EXTENSION_LINE_MAX as usize - 1, 1), None);
    assert_eq!(run(EXTENSION_LINE_MAX as usize + 1, 1), Some(ChunkError::ExtensionTooLong));
    assert_eq!(run(512, 30), None);
    assert_eq!(run(512, 33), Some(ChunkError::ExtensionTooLong));
}

#[test]
fn a_body_that_is_cut_off_never_ends() {
    let wire = b"5\r\nhello\r\n0\r\n";
    for end in 0..wire.len() {
        assert_eq!(decode(&wire[..end], &[]).unwrap().1, None, "{end} bytes");
    }
}

#[test]
fn what_is_encoded_decodes_to_itself() {
    for len in [1, 9, 10, 15, 16, 255, 256, 4095, 65_536] {
        let data = "x".repeat(len);
        let wire = [&chunk_prefix(len), data.as_bytes(), CHUNK_END, LAST_CHUNK].concat();
        let expect: Outcome = Ok((data, wire.len() - 2));
        assert_eq!(decode(&wire, &[]).map(|(data, end)| (data, end.unwrap())), expect);
    }
    assert_eq!(&*chunk_prefix(usize::MAX), b"ffffffffffffffff\r\n");
}
