//! What message bodies are taken, and what is refused in which words.

use serde_json::json;

use super::*;

fn create(body: &Value) -> Result<CreateForm, ApiError> {
    CreateForm::parse(body.to_string().as_bytes())
}

/// The first error's path and code.
fn refusal(body: &Value) -> (String, String) {
    let error = create(body).unwrap_err();
    let mut value = &error.body()["errors"];
    let mut path = Vec::new();
    while value.get("_errors").is_none() {
        let (name, next) = value.as_object().unwrap().iter().next().unwrap();
        path.push(name.clone());
        value = next;
    }
    (path.join("."), value["_errors"][0]["code"].as_str().unwrap().to_owned())
}

fn refused(body: Value, path: &str, code: &str) {
    assert_eq!(refusal(&body), (path.to_owned(), code.to_owned()), "{body}");
}

#[test]
fn what_clients_send_is_taken() {
    let body = json!({
        "content": " hello ", "tts": false, "embeds": [], "sticker_ids": [], "attachments": [],
        "components": null, "nonce": "a", "enforce_nonce": true, "flags": 4, "unknown": {},
        "allowed_mentions": {"parse": [], "users": [], "roles": [], "replied_user": false},
        "message_reference": {"message_id": "5", "channel_id": "6", "fail_if_not_exists": false},
    });
    let form = create(&body).unwrap();
    assert_eq!(form.content, "hello");
    assert_eq!(form.nonce, Some(Nonce::Text("a".to_owned())));
    assert!(form.enforce_nonce);
    assert_eq!(form.flags, 4);
    assert_eq!(form.reference, Some(Reference { message: 5, channel: Some(6), fail_if_not_exists: false }));
    let nobody = AllowedMentions { everyone: false, users: Some(BTreeSet::new()), replied_user: false };
    assert_eq!(form.mentions, nobody);
    assert_eq!(create(&json!({"content": "x"})).unwrap().mentions, AllowedMentions::ALL);
    assert_eq!(create(&json!({"content": "x", "nonce": 7})).unwrap().nonce, Some(Nonce::Number(7)));
}

#[test]
fn lengths_are_counted_in_characters() {
    assert!(create(&json!({"content": "😀".repeat(2000)})).is_ok());
    refused(json!({"content": "a".repeat(2001)}), "content", "BASE_TYPE_MAX_LENGTH");
    refused(json!({"content": "a", "nonce": "n".repeat(26)}), "nonce", "BASE_TYPE_MAX_LENGTH");
    for empty in [json!({}), json!({"content": ""}), json!({"content": " \n"}), json!({"content": null})] {
        assert_eq!(create(&empty), Err(ApiError::EmptyMessage), "{empty}");
    }
}

#[test]
fn wrong_types_are_refused() {
    refused(json!({"content": 5}), "content", "STRING_TYPE_CONVERT");
    refused(json!({"content": "a", "nonce": 1.5}), "nonce", "NONCE_TYPE_CONVERT");
    refused(json!({"content": "a", "nonce": true}), "nonce", "NONCE_TYPE_CONVERT");
    refused(json!({"content": "a", "enforce_nonce": "yes"}), "enforce_nonce", "BOOLEAN_TYPE_CONVERT");
    refused(json!({"content": "a", "flags": "4"}), "flags", "NUMBER_TYPE_COERCE");
    refused(json!({"content": "a", "embeds": {}}), "embeds", "LIST_TYPE_CONVERT");
    refused(json!({"content": "a", "embeds": [{}]}), "embeds", "SANDBOX_UNSUPPORTED");
    refused(json!({"content": "a", "allowed_mentions": []}), "allowed_mentions", "DICT_TYPE_CONVERT");
    let body = json!({"content": "a", "message_reference": {}});
    refused(body, "message_reference.message_id", "BASE_TYPE_REQUIRED");
    assert_eq!(CreateForm::parse(b"{"), Err(ApiError::InvalidJson));
    assert!(matches!(CreateForm::parse(b"[]"), Err(ApiError::InvalidForm(_))));
}

#[test]
fn allowed_mentions_are_checked() {
    let with = |mentions: Value| json!({"content": "a", "allowed_mentions": mentions});
    refused(with(json!({"parse": ["all"]})), "allowed_mentions.parse.0", "BASE_TYPE_CHOICES");
    refused(with(json!({"parse": "users"})), "allowed_mentions.parse", "LIST_TYPE_CONVERT");
    refused(with(json!({"users": ["x"]})), "allowed_mentions.users.0", "NUMBER_TYPE_COERCE");
    let exclusive = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE";
    refused(with(json!({"parse": ["users"], "users": ["1"]})), "allowed_mentions", exclusive);
    let many: Vec<String> = (0..101).map(|id| id.to_string()).collect();
    refused(with(json!({"users": many})), "allowed_mentions.users", "BASE_TYPE_MAX_LENGTH");
    let replied = with(json!({"replied_user": 1}));
    refused(replied, "allowed_mentions.replied_user", "BOOLEAN_TYPE_CONVERT");
}

#[test]
fn an_edit_changes_only_what_it_names() {
    let parse = |body: Value| EditForm::parse(body.to_string().as_bytes());
    let form = parse(json!({"content": "new"})).unwrap();
    assert_eq!((form.content.as_deref(), form.flags), (Some("new"), None));
    let form = parse(json!({"flags": 4})).unwrap();
    assert_eq!((form.content, form.flags), (None, Some(4)));
    assert_eq!(parse(json!({"content": ""})), Err(ApiError::EmptyMessage));
    assert_eq!(parse(json!({"content": null})), Err(ApiError::EmptyMessage));
}
