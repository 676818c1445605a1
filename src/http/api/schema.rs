//! Schemas: collected while endpoints describe themselves, from the types that they take and give.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::http::problem::ProblemCode;

/// Where the document keeps its schemas.
pub(super) const COMPONENTS: &str = "#/components/schemas/";

/// What one endpoint says of itself.
#[derive(Debug, Default)]
pub(super) struct Operation {
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: BTreeMap<u16, Value>,
    pub(super) problems: BTreeSet<ProblemCode>,
}

/// Takes down what endpoints say, and the schemas that they name. What is read and what is written have schemas of their own:
/// a field with a default may be left out of a request, but is always in an answer.
pub struct Describer {
    inputs: SchemaGenerator,
    outputs: SchemaGenerator,
    operation: Operation,
}

impl Describer {
    pub(super) fn new() -> Self {
        // OpenAPI 3.1 takes JSON Schema 2020-12 as it is.
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        let inputs = settings().for_deserialize().into_generator();
        let outputs = settings().for_serialize().into_generator();
        Self { inputs, outputs, operation: Operation::default() }
    }

    /// What was said since the last call.
    pub(super) fn take_operation(&mut self) -> Operation {
        std::mem::take(&mut self.operation)
    }

    /// A schema by reference, for something that is written.
    pub fn output<T: JsonSchema>(&mut self) -> Value {
        self.outputs.subschema_for::<T>().to_value()
    }

    /// A JSON body is read.
    pub(super) fn body<T: JsonSchema>(&mut self) {
        let schema = self.inputs.subschema_for::<T>().to_value();
        self.operation.body = Some(mark_input(schema));
    }

    /// Parameters are read: the fields of a flat struct.
    pub(super) fn parameters<T: JsonSchema>(&mut self, place: &str) {
        let mut schema = T::json_schema(&mut self.inputs).to_value();
        let required: BTreeSet<String> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let Some(Value::Object(properties)) = schema.get_mut("properties").map(Value::take) else { return };
        for (name, schema) in properties {
            let required = place == "path" || required.contains(&name);
            self.operation.parameters.push(parameter(place, &name, mark_input(schema), required));
        }
    }

    /// A JSON answer may come.
    pub(super) fn answers<T: JsonSchema>(&mut self, status: u16, description: &str) {
        let schema = self.output::<T>();
        self.answers_media(status, description, "application/json", &schema);
    }

    /// An answer of another media type may come.
    pub fn answers_media(&mut self, status: u16, description: &str, media: &str, schema: &Value) {
        let content = json!({ media: { "schema": schema } });
        self.operation.answers.insert(status, json!({ "description": description, "content": content }));
    }

    /// An answer without a body may come.
    pub(super) fn answers_nothing(&mut self, status: u16, description: &str) {
        self.operation.answers.insert(status, json!({ "description": description }));
    }

    /// These problems may come.
    pub fn may_fail(&mut self, problems: &[ProblemCode]) {
        self.operation.problems.extend(problems);
    }

    /// A header of the request is read.
    pub fn header(&mut self, name: &str, required: bool, schema: &Value) {
        self.operation.parameters.push(parameter("header", name, schema.clone(), required));
    }

    /// Every schema that was named, by its name.
    pub(super) fn schemas(mut self) -> Map<String, Value> {
        let inputs = self.inputs.take_definitions(true);
        let mut schemas = self.outputs.take_definitions(true);
        for (name, schema) in inputs {
            schemas.insert(format!("{name}{INPUT}"), mark_input(schema));
        }
        unify(schemas)
    }
}

/// Added to the name of what is read; taken off again where what is read and what is written are the same.
const INPUT: &str = "Input";

fn parameter(place: &str, name: &str, mut schema: Value, required: bool) -> Value {
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    // A parameter that is left out is absent, never null.
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("type".to_owned(), only);
            }
        }
    }
    let only = schema.get("anyOf").and_then(Value::as_array).map(|all| {
        all.iter().filter(|one| **one != json!({ "type": "null" })).cloned().collect::<Vec<Value>>()
    });
    if let Some([only]) = only.as_deref() {
        schema = only.clone();
    }
    let mut parameter = json!({ "name": name, "in": place, "required": required, "schema": schema });
    if let (Some(description), Some(parameter)) = (description, parameter.as_object_mut()) {
        parameter.insert("description".to_owned(), description);
    }
    parameter
}

/// Makes every reference in a schema one to what is read.
fn mark_input(schema: Value) -> Value {
    rename(schema, &|name| format!("{name}{INPUT}"))
}

fn rename(value: Value, by: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| match (key.as_str(), value) {
                    ("$ref", Value::String(to)) => {
                        let name = to.strip_prefix(COMPONENTS).map(by);
                        let to = name.map_or(to, |name| format!("{COMPONENTS}{name}"));
                        (key, Value::String(to))
                    }
                    (_, value) => (key, rename(value, by)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| rename(item, by)).collect()),
        other => other,
    }
}

/// What is read goes by the plain name where nothing else has it, or what has it is the same.
fn unify(mut schemas: Map<String, Value>) -> Map<String, Value> {
    loop {
        let same = schemas.iter().find_map(|(name, schema)| {
            let plain = name.strip_suffix(INPUT)?;
            let read = rename(schema.clone(), &|name| name.strip_suffix(INPUT).unwrap_or(name).to_owned());
            match schemas.get(plain) {
                Some(written) if *written != read => None,
                _ => Some((name.clone(), plain.to_owned())),
            }
        });
        let Some((name, plain)) = same else { return schemas };
        if let Some(schema) = schemas.remove(&name) {
            schemas.entry(plain).or_insert(schema);
        }
    }
}

/// References to what is read, after [`unify`]: those whose schema kept its own name stay.
pub(super) fn settle(document: Value, schemas: &Map<String, Value>) -> Value {
    rename(document, &|name| match name.strip_suffix(INPUT) {
        Some(plain) if !schemas.contains_key(name) => plain.to_owned(),
        _ => name.to_owned(),
    })
}
