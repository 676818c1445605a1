//! Lists of networks as people write them: a text with commas, or a list of texts.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::network::Network;

/// For `deserialize_with`: networks separated by commas, or a list of them; `""` names none.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    deserializer.deserialize_any(ListVisitor)
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<Network>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("networks separated by commas, such as \"10.0.0.0/8, ::1\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Network::parse_list(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Self::Value, A::Error> {
        let mut networks = Vec::new();
        while let Some(word) = words.next_element::<String>()? {
            networks.push(word.parse().map_err(A::Error::custom)?);
        }
        Ok(networks)
    }
}
