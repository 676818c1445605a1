//! The parameters of a call: from the query, a form, a multipart form or JSON, all read alike.

use std::collections::BTreeMap;

use actix_web::web::Query;
use serde_json::Value;

use super::error::ApiError;

/// What came with a call.
#[derive(Debug, Default)]
pub(super) struct Params {
    values: BTreeMap<String, Value>,
    /// Uploaded files by the name of their part: file name and length.
    pub(super) files: BTreeMap<String, (String, usize)>,
}

impl Params {
    pub(super) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        let mut params = Self::default();
        params.form(query)?;
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind {
            _ if body.is_empty() => {}
            "application/json" => match serde_json::from_slice(body) {
                Ok(Value::Object(object)) => params.values.extend(object),
                _ => return Err(ApiError::bad_request("can't parse JSON object")),
            },
            "application/x-www-form-urlencoded" => {
                let text = std::str::from_utf8(body).map_err(|_| malformed())?;
                params.form(text)?;
            }
            "multipart/form-data" => params.multipart(content_type, body)?,
            _ => return Err(ApiError::bad_request("unsupported content type")),
        }
        Ok(params)
    }

    fn form(&mut self, text: &str) -> Result<(), ApiError> {
        let pairs = Query::<Vec<(String, String)>>::from_query(text).map_err(|_| malformed())?;
        self.values.extend(pairs.into_inner().into_iter().map(|(name, value)| (name, Value::String(value))));
        Ok(())
    }

    fn multipart(&mut self, content_type: &str, body: &[u8]) -> Result<(), ApiError> {
        let boundary = content_type
            .split(';')
            .filter_map(|part| part.trim().strip_prefix("boundary="))
            .map(|text| text.trim_matches('"'))
            .next()
            .ok_or_else(malformed)?;
        let mark = [b"--", boundary.as_bytes()].concat();
        let mut rest = body.get(find(body, &mark).ok_or_else(malformed)? + mark.len()..).unwrap_or_default();
        while let Some(end) = find(rest, &mark) {
            self.part(rest.get(..end).unwrap_or_default())?;
            rest = rest.get(end + mark.len()..).unwrap_or_default();
        }
        if rest.starts_with(b"--") { Ok(()) } else { Err(malformed()) }
    }

    fn part(&mut self, part: &[u8]) -> Result<(), ApiError> {
        let split = find(part, b"\r\n\r\n").ok_or_else(malformed)?;
        let head = std::str::from_utf8(part.get(..split).unwrap_or_default()).map_err(|_| malformed())?;
        let content = part.get(split + 4..).unwrap_or_default();
        let content = content.strip_suffix(b"\r\n").ok_or_else(malformed)?;
        let field = |name: &str| {
            let at = head.find(&format!("{name}=\""))? + name.len() + 2;
            head.get(at..)?.split('"').next().map(str::to_owned)
        };
        let name = field("; name").ok_or_else(malformed)?;
        match field("filename") {
            Some(file) => {
                self.files.insert(name, (file, content.len()));
            }
            None => {
                let text = String::from_utf8(content.to_vec()).map_err(|_| malformed())?;
                self.values.insert(name, Value::String(text));
            }
        }
        Ok(())
    }

    /// A text; numbers and flags count as the text that they are written as.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| matches!(text.to_lowercase().as_str(), "true" | "1"))
    }

    /// A nested value; a text holds it as JSON.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, ApiError> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| ApiError::bad_request(format!("can't parse {name} JSON object"))),
            Some(other) => Ok(Some(other.clone())),
        }
    }
}

fn malformed() -> ApiError {
    ApiError::bad_request("malformed request")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_alike() {
        let json = Params::read("", "application/json", br#"{"chat_id":7,"text":"hi"}"#).unwrap();
        let form = Params::read("chat_id=7", "application/x-www-form-urlencoded", b"text=hi").unwrap();
        let body = "--B\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n--B\r\n\
                    Content-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--B\r\n\
                    Content-Disposition: form-data; name=\"document\"; filename=\"a.csv\"\r\n\r\n1,2\r\n--B--\r\n";
        let multipart = Params::read("", "multipart/form-data; boundary=B", body.as_bytes()).unwrap();
        for params in [&json, &form, &multipart] {
            assert_eq!(params.integer("chat_id"), Some(7));
            assert_eq!(params.text("text").as_deref(), Some("hi"));
        }
        assert_eq!(multipart.files.get("document"), Some(&("a.csv".to_owned(), 3)));
        assert!(Params::read("", "multipart/form-data; boundary=B", b"--B\r\nx").is_err());
        assert!(Params::read("", "application/json", b"[1]").is_err());
    }
}
