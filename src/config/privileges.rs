//! `[privileges]`: the user to become, and a switch for each of the other measures.

use super::defaults;
use super::problem::{At, Problems};
use super::reader::{Item, Read, Scalar, Table, Wrong};
use super::schema;
use crate::model::Privileges;

impl<'t> Read<'t> for Privileges {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Privileges> {
        let table = Table::read(item, &schema::PRIVILEGES, problems)?;
        let of = defaults::PRIVILEGES;
        let no_new_privs = table.get_or("no_new_privs", of.no_new_privs, problems);
        // Without it, what the kernel takes only with it is off, unless somebody asks for both.
        let mut beside = |key, default: bool| match table.get::<bool>(key, problems) {
            Some(At { value: true, at }) if !no_new_privs => {
                let what = format!("{key} = true beside no_new_privs = false: the kernel takes it only with that");
                problems.error(at, what, "remove one of the two");
                false
            }
            Some(At { value, .. }) => value,
            None => default && no_new_privs,
        };
        let (landlock, seccomp) = (beside("landlock", of.landlock), beside("seccomp", of.seccomp));
        Some(Privileges {
            user: table.get("user", problems).map(|user: At<UserName>| user.value.0),
            no_new_privs,
            landlock,
            restrict_rings: table.get_or("restrict_rings", of.restrict_rings, problems),
            seccomp,
        })
    }
}

/// A user of this machine, by name or number; whether there is one is not looked up.
struct UserName(String);

impl Scalar for UserName {
    const EXAMPLE: &'static str = "\"ringferry\"";

    fn from_text(text: &str) -> Result<UserName, Wrong> {
        if text == "root" || text == "0" {
            let what = format!("{text:?} is who has all privileges: to become root gives none up");
            return Err(Wrong::new(what).say("write a user of its own, as user = \"ringferry\"; or remove it"));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-$".contains(&byte);
        match !text.is_empty() && text.len() <= NAME_MAX && text.bytes().all(is_plain) && !text.starts_with('-') {
            true => Ok(UserName(text.to_owned())),
            false => Err(Wrong::new(format!("{text:?} is no name of a user")).write_bare(Self::EXAMPLE)),
        }
    }
}

/// What Linux takes for a name (`LOGIN_NAME_MAX`).
const NAME_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::super::tests::check_scalar;
    use super::*;
    use crate::config::load;

    #[track_caller]
    fn user(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |user: UserName| user.0, expect);
    }

    #[test]
    fn a_user_is_a_name_or_a_number_and_not_root() {
        user("ringferry", Ok("ringferry"));
        user("65534", Ok("65534"));
        user("www-data", Ok("www-data"));
        user("root", Err("\"root\" is who has all privileges: to become root gives none up"));
        user("0", Err("\"0\" is who has all privileges: to become root gives none up"));
        user("-x", Err("\"-x\" is no name of a user"));
        user("a b", Err("\"a b\" is no name of a user"));
        user("", Err("\"\" is no name of a user"));
    }

    /// What `[privileges]` with these lines means, or what is wrong with it.
    fn read(lines: &str) -> Result<Privileges, String> {
        let text = format!("[privileges]\n{lines}\n[[site]]\nhost = \"a\"\nupstream = 3000\n");
        let loaded = load(&text, "r.toml");
        let wrong = || loaded.problems.iter().map(|problem| problem.render("r.toml", false)).collect();
        loaded.config.map(|config| config.privileges).ok_or_else(wrong)
    }

    #[test]
    fn each_switch_turns_off_one_thing_but_the_kernel_takes_two_only_with_a_third() {
        let all = defaults::PRIVILEGES;
        assert_eq!(read(""), Ok(all.clone()));
        assert_eq!(read("user = \"x\""), Ok(Privileges { user: Some("x".into()), ..all.clone() }));
        assert_eq!(read("user = 65534"), Ok(Privileges { user: Some("65534".into()), ..all.clone() }));
        assert_eq!(read("landlock = false"), Ok(Privileges { landlock: false, ..all.clone() }));
        assert_eq!(read("restrict_rings = false"), Ok(Privileges { restrict_rings: false, ..all.clone() }));
        assert_eq!(read("seccomp = false"), Ok(Privileges { seccomp: false, ..all.clone() }));
        let none = Privileges { no_new_privs: false, landlock: false, seccomp: false, ..all };
        assert_eq!(read("no_new_privs = false"), Ok(none.clone()));
        assert_eq!(read("no_new_privs = false\nlandlock = false"), Ok(none));
        let expect = r#"r.toml:3:11: error: seccomp = true beside no_new_privs = false: the kernel takes it only with that
    seccomp = true
              ^^^^
    remove one of the two"#;
        assert_eq!(read("no_new_privs = false\nseccomp = true"), Err(expect.to_owned()));
    }
}
