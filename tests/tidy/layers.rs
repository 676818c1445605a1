//! Which room may look into which: dependencies inside the root package point one way.

use crate::files::File;

/// A room and the words that must not stand in it.
struct Wall {
    room: &'static str,
    never: &'static [&'static str],
}

const CLIENTS: [&str; 12] = [
    "grammers_",
    "serenity::",
    "reqwest",
    "actix_web",
    "actix_http",
    "hyper::",
    "sea_orm",
    "sqlx::",
    "rustls",
    "ring::",
    "lettre",
    "clap::",
];

const WALLS: [Wall; 9] = [
    Wall { room: "actors/src/", never: &CLIENTS },
    Wall { room: "tests/sandbox/", never: &["switchyard::", "switchyard_actors"] },
    Wall {
        room: "src/config/",
        never: &[
            "crate::app",
            "crate::cli",
            "crate::http",
            "crate::services",
            "crate::store",
            "crate::adapters",
        ],
    },
    Wall {
        room: "src/crypto/",
        never: &[
            "crate::app",
            "crate::cli",
            "crate::http",
            "crate::services",
            "crate::store",
            "crate::adapters",
        ],
    },
    Wall {
        room: "src/store/",
        never: &[
            "crate::app",
            "crate::cli",
            "crate::http",
            "crate::services",
            "crate::adapters",
            "actix_web",
        ],
    },
    Wall {
        room: "src/adapters/",
        never: &["crate::app", "crate::cli", "crate::http", "crate::services", "crate::store", "sea_orm"],
    },
    Wall {
        room: "src/services/",
        never: &["crate::app", "crate::cli", "crate::http", "crate::adapters", "actix_web"],
    },
    Wall {
        room: "src/http/",
        never: &[
            "crate::app",
            "crate::cli",
            "crate::store",
            "crate::adapters",
            "sea_orm",
            "grammers_",
            "serenity",
        ],
    },
    Wall {
        room: "src/cli/",
        never: &["store::entit", "crate::adapters", "sea_orm", "grammers_", "serenity"],
    },
];

/// Only the supervision core knows actix's own actors; everything else is a child that it hosts. The programs that
/// the runtime is measured against are a workspace of their own, on other runtimes.
const ACTOR_ROOMS: [&str; 2] = ["actors/src/supervision/", "benches/peers/"];

/// Words that a file's room must not hold.
pub(crate) fn violations(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for wall in WALLS.iter().filter(|wall| file.path.starts_with(wall.room)) {
        for (number, line) in code(file) {
            for word in wall.never.iter().filter(|word| names(line, word)) {
                complaints.push(format!("line {number}: `{word}` must not be used in {}", wall.room));
            }
        }
    }
    if !ACTOR_ROOMS.iter().any(|room| file.path.starts_with(room)) {
        for (number, line) in code(file) {
            if makes_an_actor(line) {
                complaints
                    .push(format!("line {number}: actix actors are written in actors/src/supervision only"));
            }
        }
    }
    complaints
}

/// Whether a type becomes one of actix's actors here, by whatever path the trait is named and whatever its parameters are.
fn makes_an_actor(line: &str) -> bool {
    let line = line.trim_start();
    let of_trait = line.split_once(" for ").map_or("", |(head, _)| head);
    line.starts_with("impl") && names_last(of_trait, "Actor")
}

/// Whether a path ends with this name.
fn names_last(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.ends_with([' ', ':', '>']))
}

/// Whether the word stands in the line as the beginning of a name.
fn names(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(inside))
}

/// Lines without comments.
fn code(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_through_a_wall_is_seen() {
        for (path, line) in [
            ("actors/src/tree/queue.rs", "use serenity::all::Http;"),
            ("src/http/routes.rs", "use crate::store::entity::user;"),
            ("src/cli/status.rs", "use crate::store::entities::user;"),
            ("src/adapters/discord/mod.rs", "use crate::store::Store;"),
            ("src/services/admin.rs", "use actix_web::web;"),
            ("tests/sandbox/src/lib.rs", "use switchyard::config::Config;"),
            ("src/app.rs", "impl actix::Actor for App {"),
            ("src/app.rs", "impl<C: Child> Actor for App<C> {"),
            ("actors/src/tree/queue.rs", "    impl<T> ::actix::Actor for App<T> where T: Unpin {"),
        ] {
            assert_eq!(violations(&File::sample(path, line)).len(), 1, "{path}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_complained_of() {
        for (path, line) in [
            ("src/app.rs", "use crate::store::Store;"),
            ("src/http/routes.rs", "use crate::services::admin::Admin;"),
            ("actors/src/tree/queue.rs", "// serenity::Http is the adapter's"),
            ("actors/src/supervision/host.rs", "impl Actor for Host {"),
            ("actors/src/tree/queue.rs", "impl Handle<GetActor> for QueueActor {"),
            ("actors/src/tree/queue.rs", "impl Child for Actor {"),
            ("actors/src/tree/queue.rs", "state.load(Ordering::Acquire)"),
        ] {
            assert_eq!(violations(&File::sample(path, line)), Vec::<String>::new(), "{path}");
        }
    }
}
