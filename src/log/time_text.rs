//! The wall clock as text: for log lines and for `Date` fields. Calendar work once a second, copies otherwise.
//!
//! Always UTC: a board moves between time zones less often than its logs are read beside others'.

use super::text::{number, padded};
use time::OffsetDateTime;

/// The texts of one second, made anew when the second changes.
#[derive(Debug)]
pub struct TimeText {
    unix_s: u64,
    common: Vec<u8>,
    iso: Vec<u8>,
    http: Vec<u8>,
}

impl TimeText {
    /// Starts with the text of 1970.
    pub fn new() -> TimeText {
        let mut text = TimeText { unix_s: 0, common: Vec::new(), iso: Vec::new(), http: Vec::new() };
        text.write();
        text
    }

    /// `Mon, 23 Nov 2026 05:50:14 GMT`: the value of a `Date` field (RFC 9110 5.6.7, IMF-fixdate).
    pub fn http_date(&mut self, unix_s: u64) -> &[u8] {
        self.set(unix_s);
        &self.http
    }

    /// `23/Nov/2026:05:50:14 +0000`: the time in a combined line.
    pub(super) fn common(&mut self, unix_s: u64) -> &[u8] {
        self.set(unix_s);
        &self.common
    }

    /// `2026-11-23T05:50:14`, to which the caller adds a fraction and `Z`.
    pub(super) fn iso(&mut self, unix_s: u64) -> &[u8] {
        self.set(unix_s);
        &self.iso
    }

    fn set(&mut self, unix_s: u64) {
        if unix_s != self.unix_s {
            self.unix_s = unix_s;
            self.write();
        }
    }

    fn write(&mut self) {
        let now = i64::try_from(self.unix_s)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH); // a clock beyond the year 9999 says nothing worth printing
        let (year, month, day) = (now.year() as u64, u8::from(now.month()), u64::from(now.day()));
        let month_name = MONTHS[usize::from(month) - 1].as_bytes();
        let clock = |out: &mut Vec<u8>| {
            padded::<2>(out, now.hour().into());
            out.push(b':');
            padded::<2>(out, now.minute().into());
            out.push(b':');
            padded::<2>(out, now.second().into());
        };

        let out = &mut self.common;
        out.clear();
        padded::<2>(out, day);
        out.push(b'/');
        out.extend_from_slice(month_name);
        out.push(b'/');
        number(out, year);
        out.push(b':');
        clock(out);
        out.extend_from_slice(b" +0000");

        let out = &mut self.iso;
        out.clear();
        padded::<4>(out, year);
        out.push(b'-');
        padded::<2>(out, month.into());
        out.push(b'-');
        padded::<2>(out, day);
        out.push(b'T');
        clock(out);

        let out = &mut self.http;
        out.clear();
        out.extend_from_slice(WEEKDAYS[usize::from(now.weekday().number_days_from_monday())].as_bytes());
        out.extend_from_slice(b", ");
        padded::<2>(out, day);
        out.push(b' ');
        out.extend_from_slice(month_name);
        out.push(b' ');
        padded::<4>(out, year);
        out.push(b' ');
        clock(out);
        out.extend_from_slice(b" GMT");
    }
}

impl Default for TimeText {
    fn default() -> TimeText {
        TimeText::new()
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(clock: &mut TimeText, unix_s: u64, common: &str, iso: &str, http: &str) {
        assert_eq!(clock.common(unix_s), common.as_bytes());
        assert_eq!(clock.iso(unix_s), iso.as_bytes());
        assert_eq!(clock.http_date(unix_s), http.as_bytes());
    }

    #[test]
    fn a_second_has_three_texts_whatever_came_before() {
        let clock = &mut TimeText::new();
        check(clock, 0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00", "Thu, 01 Jan 1970 00:00:00 GMT");
        // The example of RFC 9110 5.6.7.
        check(clock, 784_111_777, "06/Nov/1994:08:49:37 +0000", "1994-11-06T08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT");
        check(
            clock,
            1_709_251_199,
            "29/Feb/2024:23:59:59 +0000",
            "2024-02-29T23:59:59",
            "Thu, 29 Feb 2024 23:59:59 GMT",
        );
        check(clock, 0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00", "Thu, 01 Jan 1970 00:00:00 GMT");
        check(clock, u64::MAX, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00", "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
