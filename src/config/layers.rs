//! The layers of a configuration, lowest first: compiled in, file, environment, flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Num, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::error::{ConfigError, Fault};

/// The reference configuration; every key stands in it with its default.
pub const REFERENCE: &str = include_str!("../../config.toml");

const PREFIX: &str = "SWITCHYARD_";

/// One command-line flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As typed, such as `--listen`.
    pub name: &'static str,
    /// The key it sets, such as `http.listen`.
    pub key: &'static str,
    /// The value given.
    pub value: String,
}

/// Everything a configuration is made of. Tests bring their own; the program brings [`Sources::from_process`].
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file given by `--config`.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Flags that set keys.
    pub flags: Vec<Flag>,
    /// The data folder: no secret may be read from inside it.
    pub data_dir: PathBuf,
}

impl Sources {
    /// The process's own environment. Variables that are not valid Unicode are left out.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, flags: Vec<Flag>, data_dir: PathBuf) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, environment, flags, data_dir }
    }
}

/// One layer: where it comes from, and the values it sets.
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Puts the layers over each other. Keys that the reference does not have are refused here, so that the layer is known.
///
/// # Errors
/// [`ConfigError`]
pub(super) fn merge(sources: &Sources) -> Result<Figment, ConfigError> {
    let reference = parse("the compiled-in config.toml", REFERENCE)?;
    let mut layers = Vec::new();
    if let Some(path) = &sources.file {
        layers.push(file(path)?);
    }
    let known = |key: &str| find(&reference.values, key).cloned();
    layers.extend(environment(&sources.environment, known));
    layers.extend(sources.flags.iter().map(|flag| Layer {
        name: format!("flag {}", flag.name),
        values: nested(flag.key, like(known(flag.key).as_ref(), &flag.value)),
    }));
    let faults: Vec<Fault> = layers.iter().flat_map(|layer| unknown(layer, &reference.values)).collect();
    if !faults.is_empty() {
        return Err(ConfigError::Refused(faults));
    }
    Ok(layers.into_iter().fold(Figment::from(reference), Figment::merge))
}

fn file(path: &Path) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
    parse(&format!("file {}", path.display()), &text)
}

fn parse(name: &str, text: &str) -> Result<Layer, ConfigError> {
    let values = Toml::from_str::<Dict>(text).map_err(|error| ConfigError::Syntax {
        layer: name.to_owned(),
        reason: error.to_string().trim().to_owned(),
    })?;
    Ok(Layer { name: name.to_owned(), values })
}

/// A layer per variable, so that an error names it. Variables without `__` are not configuration.
fn environment(
    variables: &BTreeMap<String, String>,
    known: impl Fn(&str) -> Option<Value>,
) -> impl Iterator<Item = Layer> {
    variables.iter().filter_map(move |(name, text)| {
        let rest = name.strip_prefix(PREFIX)?;
        rest.contains("__").then_some(())?;
        let key = rest.to_ascii_lowercase().replace("__", ".");
        let value = like(known(&key).as_ref(), text);
        Some(Layer { name: format!("environment variable {name}"), values: nested(&key, value) })
    })
}

/// Reads a text as the type that the reference gives the key: a token of digits stays a text.
fn like(reference: Option<&Value>, text: &str) -> Value {
    let parsed = match reference {
        Some(Value::Num(..)) => {
            text.trim().parse::<Num>().ok().map(|number| Value::Num(Tag::Default, number))
        }
        Some(Value::Bool(..)) => text.trim().parse::<bool>().ok().map(|flag| Value::Bool(Tag::Default, flag)),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(Tag::Default, text.to_owned()))
}

fn nested(key: &str, value: Value) -> Dict {
    match key.split_once('.') {
        Some((head, tail)) => Dict::from([(head.to_owned(), Value::Dict(Tag::Default, nested(tail, value)))]),
        None => Dict::from([(key.to_owned(), value)]),
    }
}

fn find<'a>(values: &'a Dict, key: &str) -> Option<&'a Value> {
    let (head, tail) = key.split_once('.').map_or((key, None), |(head, tail)| (head, Some(tail)));
    match (values.get(head)?, tail) {
        (Value::Dict(_, inner), Some(tail)) => find(inner, tail),
        (_, Some(_)) => None,
        (value, None) => Some(value),
    }
}

fn unknown(layer: &Layer, reference: &Dict) -> Vec<Fault> {
    let known = keys(reference);
    keys(&layer.values)
        .into_iter()
        .filter(|key| find(reference, key).is_none())
        .map(|key| Fault {
            reason: match nearest(&key, &known) {
                Some(near) => format!("there is no such key; did you mean {near}?"),
                None => "there is no such key".to_owned(),
            },
            layer: layer.name.clone(),
            key,
        })
        .collect()
}

/// Every key of a layer, sections joined by dots; an empty section counts as a key.
pub(super) fn keys(values: &Dict) -> Vec<String> {
    values
        .iter()
        .flat_map(|(name, value)| match value {
            Value::Dict(_, inner) if !inner.is_empty() => {
                keys(inner).into_iter().map(|key| format!("{name}.{key}")).collect()
            }
            _ => vec![name.clone()],
        })
        .collect()
}

/// The known key that is at most a third of its letters away, if one is.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    known
        .iter()
        .map(|candidate| (distance(key, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let substituted = diagonal + usize::from(a != b);
            diagonal = *cell;
            *cell = substituted.min(before + 1).min(diagonal + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (left, right, edits) in
            [("", "", 0), ("", "ab", 2), ("listen", "listn", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), edits, "{left} {right}");
            assert_eq!(distance(right, left), edits, "{right} {left}");
        }
    }

    #[test]
    fn a_variable_is_read_as_the_reference_types_its_key() {
        let number = Value::from(1_u16);
        assert_eq!(like(Some(&number), "42").to_u128(), Some(42));
        assert_eq!(like(Some(&Value::from("text")), "42").as_str(), Some("42"));
        assert_eq!(like(Some(&Value::from(true)), "false").to_bool(), Some(false));
        assert_eq!(like(Some(&number), "many").as_str(), Some("many"));
    }
}
