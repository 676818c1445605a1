//! Routes of master keys, rotations and the installation's secrets.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::http::api::{Accepted, Access, Created, Endpoint, delete, get, post, put};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::{Services, Serving};
use crate::services::caller::Role;
use crate::services::fault::Fault;
use crate::services::keys::{KeyListing, KeyName, MasterKeyItem, RetiredKey, RotateOrder, RotationView};
use crate::services::secrets::{SecretItem, SecretListing, SecretName, SecretOrder};

/// The path's key.
#[derive(Debug, Deserialize, JsonSchema)]
struct KeyParam {
    /// The master key, as the list of keys names it.
    id: KeyName,
}

/// The path's rotation.
#[derive(Debug, Deserialize, JsonSchema)]
struct RotationParam {
    /// The rotation, as the answer that began it names it.
    id: Uuid,
}

/// The path's secret.
#[derive(Debug, Deserialize, JsonSchema)]
struct SecretParam {
    /// Which secret.
    name: SecretName,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    [keys(), secrets()].into_iter().flatten().collect()
}

fn keys() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, NotFound};
    const OWNER: Access = Access::Staff(&[Role::Owner]);
    const TAG: &str = "keys";
    vec![
        get("/api/v1/admin/keys", OWNER)
            .id("list_keys")
            .tag(TAG)
            .summary("The master keys, what each wraps, and the last rotation")
            .to(list),
        post("/api/v1/admin/keys", OWNER)
            .id("add_key")
            .tag(TAG)
            .summary("Make a master key and put it first into the keyring's file")
            .describe("Nothing is wrapped by it before a rotation. Other nodes need it on their keyrings too.")
            .problems(&[Conflict])
            .to(add),
        post("/api/v1/admin/keys/rotate", OWNER)
            .id("rotate_keys")
            .tag(TAG)
            .summary("Wrap every data key by another master key, online")
            .describe(
                "With `deep`, every user gets a new data key and every row is sealed anew. Refused while a rotation is \
                 under way, and when a running node lacks the key.",
            )
            .problems(&[Conflict])
            .to(rotate),
        get("/api/v1/admin/keys/rotations/{id}", OWNER)
            .id("get_key_rotation")
            .tag(TAG)
            .summary("How a rotation stands")
            .problems(&[NotFound])
            .to(rotation),
        delete("/api/v1/admin/keys/{id}", OWNER)
            .id("retire_key")
            .tag(TAG)
            .summary("Give a master key up")
            .describe("Refused while anything is wrapped by it.")
            .problems(&[NotFound, Conflict])
            .to(retire),
    ]
}

fn secrets() -> Vec<Endpoint> {
    const TAG: &str = "secrets";
    vec![
        get("/api/v1/admin/secrets", Access::Operator)
            .id("list_secrets")
            .tag(TAG)
            .summary("The secrets of the installation that are set, never their values")
            .to(list_secrets),
        put("/api/v1/admin/secrets/{name}", Access::Operator)
            .id("set_secret")
            .tag(TAG)
            .summary("Set a secret of the installation")
            .describe("It counts from the next use on; the bot reads its token when the daemon starts.")
            .to(set_secret),
        delete("/api/v1/admin/secrets/{name}", Access::Operator)
            .id("remove_secret")
            .tag(TAG)
            .summary("Remove a secret of the installation")
            .problems(&[ProblemCode::NotFound])
            .to(remove_secret),
    ]
}

async fn list(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<KeyListing>, Problem> {
    Ok(Json(services.keys.list().await?))
}

async fn add(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
) -> Result<Created<MasterKeyItem>, Problem> {
    let body = services.keys.add().await?;
    changes.about(String::from(body.id));
    Ok(Created { location: "/api/v1/admin/keys".to_owned(), body })
}

async fn rotate(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<RotateOrder>,
) -> Result<Accepted<RotationView>, Problem> {
    changes.before_by(services.keys.list()).await;
    let rotation = services.keys.rotate(order).await?;
    changes.about(rotation.id);
    Ok(Accepted(rotation))
}

async fn rotation(
    Serving(services): Serving,
    _: Query<Nothing>,
    Params(param): Params<RotationParam>,
) -> Result<Json<RotationView>, Problem> {
    Ok(Json(services.keys.rotation(param.id).await?))
}

async fn retire(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(param): Params<KeyParam>,
) -> Result<Json<RetiredKey>, Problem> {
    let key = async {
        let found = services.keys.list().await?.keys.into_iter().find(|item| item.id == param.id);
        Ok(found)
    };
    changes.before_by(key).await;
    Ok(Json(services.keys.retire(param.id).await?))
}

async fn list_secrets(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<SecretListing>, Problem> {
    Ok(Json(services.secrets.list().await?))
}

async fn set_secret(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(param): Params<SecretParam>,
    Body(order): Body<SecretOrder>,
) -> Result<Json<SecretItem>, Problem> {
    changes.before_by(listed(&services, param.name)).await;
    Ok(Json(services.secrets.set(param.name, order).await?))
}

async fn remove_secret(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(param): Params<SecretParam>,
) -> Result<Json<SecretItem>, Problem> {
    changes.before_by(listed(&services, param.name)).await;
    let removed = services.secrets.remove(param.name).await?;
    changes.after(&json!({ "removed": removed.name }));
    Ok(Json(removed))
}

/// That a secret is set and since when, never its value.
async fn listed(services: &Services, name: SecretName) -> Result<Option<SecretItem>, Fault> {
    Ok(services.secrets.list().await?.items.into_iter().find(|item| item.name == name))
}
