//! Looks for many secrets at once, in every form in which they could lie somewhere.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes by which a needle is found first.
const START: usize = 4;

/// What is looked for.
#[derive(Default)]
pub(crate) struct Needles {
    by_start: HashMap<[u8; START], Vec<(String, Vec<u8>)>>,
    count: usize,
}

impl Needles {
    /// Looks for a secret from now on: as it is, in UTF-16, in base64, in hexadecimal.
    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= 8, "{name} is too short to be known by");
        let mut forms = vec![
            secret.to_vec(),
            STANDARD_NO_PAD.encode(secret).into_bytes(),
            URL_SAFE_NO_PAD.encode(secret).into_bytes(),
            hex::encode(secret).into_bytes(),
            hex::encode_upper(secret).into_bytes(),
        ];
        if let Ok(text) = std::str::from_utf8(secret) {
            forms.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        self.count += 1;
        for form in forms {
            let start = form.first_chunk::<START>().copied().expect("it is longer");
            self.by_start.entry(start).or_default().push((name.to_owned(), form));
        }
    }

    /// How many secrets are looked for.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The names of the secrets that lie here.
    pub(crate) fn found_in(&self, content: &[u8]) -> Vec<&str> {
        let mut found = Vec::new();
        let firsts: [bool; 256] = {
            let mut firsts = [false; 256];
            for start in self.by_start.keys() {
                firsts[usize::from(start[0])] = true;
            }
            firsts
        };
        for (place, first) in content.iter().enumerate() {
            if !firsts[usize::from(*first)] {
                continue;
            }
            let rest = &content[place..];
            let Some(start) = rest.first_chunk::<START>() else { break };
            for (name, form) in self.by_start.get(start).into_iter().flatten() {
                if rest.starts_with(form) {
                    found.push(name.as_str());
                }
            }
        }
        found
    }
}
