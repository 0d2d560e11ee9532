//! `allow` and `deny`: who may come to a site, a route or a stream.

use super::address::Peers;
use super::problem::{At, Problems};
use super::reader::Table;
use crate::model::{Access, Cidr};

/// The lists of a table; `None` where it has neither.
pub(super) fn access(table: &Table, problems: &mut Problems) -> Option<Access> {
    let allow: Option<At<Vec<At<Peers>>>> = table.get("allow", problems);
    let deny: Option<At<Vec<At<Peers>>>> = table.get("deny", problems);
    if let Some(item) = table.item("allow").filter(|item| item.is_empty_list()) {
        problems.error(item.at, "allow lists nobody: nobody may come", "write: allow = \"lan\", or remove it");
    }
    if table.item("allow").is_none() && table.item("deny").is_none() {
        return None;
    }
    let allow = allow.map(|list| list.value);
    let deny = deny.map_or(Vec::new(), |list| list.value);
    without_effect(allow.as_deref(), &deny, problems);
    Some(Access { allow: allow.map(sets), deny: sets(deny) })
}

/// What one list says and the other makes void.
fn without_effect(allow: Option<&[At<Peers>]>, deny: &[At<Peers>], problems: &mut Problems) {
    let Some(allow) = allow else { return };
    let is_denied = |set: &Cidr| deny.iter().any(|entry| entry.value.0.iter().any(|other| other.includes(set)));
    for entry in allow.iter().filter(|entry| entry.value.0.iter().all(is_denied)) {
        problems.warning(entry.at, "allow lets none of these in: deny wins, and has them all", "remove one of the two");
    }
    let meets = |a: &Cidr, b: &Cidr| a.includes(b) || b.includes(a);
    let is_allowed = |set: &Cidr| allow.iter().any(|entry| entry.value.0.iter().any(|other| meets(other, set)));
    for entry in deny.iter().filter(|entry| !entry.value.0.iter().any(is_allowed)) {
        problems.warning(entry.at, "deny changes nothing here: allow has none of these", "remove it");
    }
}

fn sets(list: Vec<At<Peers>>) -> Vec<Cidr> {
    list.into_iter().flat_map(|peers| peers.value.0).collect()
}
