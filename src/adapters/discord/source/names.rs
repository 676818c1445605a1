//! Names for the mentions in a text: people as the message itself names them, channels and roles as the guilds do.

use std::collections::HashMap;

use switchyard_actors::pipeline::convert::Names;

use super::wire::{RawMember, RawUser};

/// Names of channels and roles of the guilds that are read, at most so many.
#[derive(Debug)]
pub(super) struct NameBook {
    channels: HashMap<u64, String>,
    roles: HashMap<u64, String>,
    max: usize,
}

impl NameBook {
    /// An empty book for at most `max` names of each kind.
    pub(super) fn new(max: usize) -> Self {
        Self { channels: HashMap::new(), roles: HashMap::new(), max }
    }

    /// Notes a channel's or thread's name.
    pub(super) fn channel(&mut self, id: u64, name: String) {
        keep(&mut self.channels, self.max, id, name);
    }

    /// Notes a role's name.
    pub(super) fn role(&mut self, id: u64, name: String) {
        keep(&mut self.roles, self.max, id, name);
    }
}

/// A full book learns new names of what it has, and nothing else: the rest is shown as Discord shows the unknown.
fn keep(names: &mut HashMap<u64, String>, max: usize, id: u64, name: String) {
    if names.len() < max || names.contains_key(&id) {
        names.insert(id, name);
    }
}

/// The book with the people that one message mentions.
pub(super) struct NamesOf<'a> {
    pub(super) book: &'a NameBook,
    pub(super) mentions: &'a [RawUser],
}

impl Names for NamesOf<'_> {
    fn user(&self, id: u64) -> Option<String> {
        let id = id.to_string();
        let user = self.mentions.iter().find(|user| user.id == id)?;
        Some(display_name(user, user.member.as_ref()).to_owned())
    }

    fn channel(&self, id: u64) -> Option<String> {
        self.book.channels.get(&id).cloned()
    }

    fn role(&self, id: u64) -> Option<String> {
        // Discord writes a role's name with the sign that the text has already ("@everyone").
        self.book.roles.get(&id).map(|name| name.trim_start_matches('@').to_owned())
    }
}

/// What others see: the nickname in the guild, else the display name, else the user name.
pub(super) fn display_name<'a>(user: &'a RawUser, member: Option<&'a RawMember>) -> &'a str {
    let nick = member.and_then(|member| member.nick.as_deref());
    let shown = nick.or(user.global_name.as_deref()).filter(|name| !name.is_empty());
    shown.unwrap_or(&user.username)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_book_renames_but_learns_nothing_new() {
        let mut book = NameBook::new(1);
        book.channel(1, "one".to_owned());
        book.channel(2, "two".to_owned());
        book.channel(1, "uno".to_owned());
        book.role(3, "@staff".to_owned());
        let names = NamesOf { book: &book, mentions: &[] };
        assert_eq!(names.channel(1).as_deref(), Some("uno"));
        assert_eq!(names.channel(2), None);
        assert_eq!(names.role(3).as_deref(), Some("staff"));
    }
}
