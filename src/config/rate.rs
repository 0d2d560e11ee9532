//! `rate`: how many requests each client may make, `"10/s"` or a table that says more.

use super::defaults;
use super::problem::{At, Problems};
use super::reader::{Item, Read, Scalar, Table, Wrong};
use super::schema;
use crate::model::{Rate, hash64};
use std::time::Duration;

/// A rate as written.
#[derive(Debug)]
pub(super) struct RawRate {
    often: Often,
    burst: u32,
}

impl RawRate {
    /// The rate of what has this name.
    pub(super) fn of(self, name: &str) -> Rate {
        let RawRate { often: Often { requests, per }, burst } = self;
        Rate { key: hash64(name.as_bytes()), requests, per, burst }
    }
}

impl<'t> Read<'t> for RawRate {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawRate> {
        if !item.is_table() {
            let often = Often::read(item, problems)?;
            return Some(RawRate { often, burst: often.requests });
        }
        let table = Table::read(item, &schema::RATE, problems)?;
        if table.item("requests").is_none() {
            table.lacks(&["requests"], "a rate without requests", "write: requests = \"10/s\"", problems);
        }
        let often: Option<At<Often>> = table.get("requests", problems);
        let burst = table.number("burst", 1..=defaults::BURST_MAX, problems);
        let often = often?.value;
        // Who writes "100/m" thinks of a hundred in any minute, in whatever order: a page takes thirty at once.
        Some(RawRate { often, burst: burst.map_or(often.requests, |burst| burst.value) })
    }
}

/// So many in this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Often {
    requests: u32,
    per: Duration,
}

impl Scalar for Often {
    const EXAMPLE: &'static str = "\"10/s\"";

    fn from_text(text: &str) -> Result<Often, Wrong> {
        let (number, unit) = text.split_once('/').map_or((text, ""), |(number, unit)| (number.trim(), unit.trim()));
        let per = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, per)| *per);
        match (number.parse::<u32>(), per) {
            (Ok(0), Some(_)) => {
                Err(Wrong::new(format!("{text:?} lets nobody in")).say("write deny, or a rate as \"10/s\""))
            }
            (Ok(requests @ 1..=defaults::RATE_REQUESTS_MAX), Some(per)) => Ok(Often { requests, per }),
            (Ok(_), Some(_)) => {
                let max = defaults::RATE_REQUESTS_MAX;
                Err(Wrong::new(format!("{text:?}: a rate can be up to {max}")).write(format_args!("{max}/{unit}")))
            }
            _ => {
                // Elsewhere it is "10r/s", and "10/min".
                let meant = number.trim_end_matches('r').parse::<u32>().unwrap_or(10);
                let unit = unit.chars().next().filter(|letter| "smh".contains(*letter)).unwrap_or('s');
                let what = format!("{text:?} is not a rate: a whole number and /s, /m or /h");
                Err(Wrong::new(what).write(format_args!("{meant}/{unit}")))
            }
        }
    }
}

const UNITS: &[(&str, Duration)] =
    &[("s", Duration::from_secs(1)), ("m", Duration::from_secs(60)), ("h", Duration::from_secs(3600))];

#[cfg(test)]
mod tests {
    use super::super::tests::check_scalar;
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |often: Often| format!("{} in {} s", often.requests, often.per.as_secs()), expect);
    }

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        check("10/s", Ok("10 in 1 s"));
        check("100/m", Ok("100 in 60 s"));
        check("5 / h", Ok("5 in 3600 s"));
        check("10000/s", Ok("10000 in 1 s"));
        check("10001/s", Err("\"10001/s\": a rate can be up to 10000"));
        check("0/s", Err("\"0/s\" lets nobody in"));
        for wrong in ["10", "10/min", "10r/s", "1.5/s", "/s", "-1/s", "s/10", ""] {
            check(wrong, Err(&format!("{wrong:?} is not a rate: a whole number and /s, /m or /h")));
        }
    }
}
