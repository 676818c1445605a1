//! `help.*`: what clients ask right after connecting.

use std::net::IpAddr;

use grammers_tl_types::{enums, functions as f, types};

use super::super::salts::unix_i32;
use super::super::view::entities::MAX_TEXT;
use super::{Answer, Context};

/// Data centres that clients know; all of them are this one.
const DATA_CENTRES: std::ops::RangeInclusive<i32> = 1..=5;
/// How long the configuration is good, in seconds.
const CONFIG_LIFETIME: i64 = 3600;

pub(super) fn get_config(context: &mut Context<'_>, _: f::help::GetConfig) -> Answer<enums::Config> {
    let now = context.dc.wall_seconds();
    let options = DATA_CENTRES.map(|id| option(context, id)).collect();
    Ok(enums::Config::Config(config(context.dc.dc_id, options, now)))
}

/// This server under the number of one of the data centres.
fn option(context: &Context<'_>, id: i32) -> enums::DcOption {
    let address = context.dc.address;
    enums::DcOption::Option(types::DcOption {
        ipv6: matches!(address.ip(), IpAddr::V6(_)),
        media_only: false,
        tcpo_only: false,
        cdn: false,
        // Clients that keep addresses take only those that are said to be static.
        r#static: true,
        this_port_only: false,
        id,
        ip_address: address.ip().to_string(),
        port: i32::from(address.port()),
        secret: None,
    })
}

/// The values of the real configuration (core.telegram.org/constructor/config) where a forwarder could care.
fn config(this_dc: i32, dc_options: Vec<enums::DcOption>, now: i64) -> types::Config {
    types::Config {
        default_p2p_contacts: false,
        preload_featured_stickers: false,
        revoke_pm_inbox: true,
        blocked_mode: false,
        force_try_ipv6: false,
        date: unix_i32(now),
        expires: unix_i32(now.saturating_add(CONFIG_LIFETIME)),
        test_mode: false,
        this_dc,
        dc_options,
        dc_txt_domain_name: String::new(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 100,
        online_update_period_ms: 210_000,
        offline_blur_timeout_ms: 5000,
        offline_idle_timeout_ms: 30_000,
        online_cloud_timeout_ms: 300_000,
        notify_cloud_delay_ms: 30_000,
        notify_default_delay_ms: 1500,
        push_chat_period_ms: 60_000,
        push_chat_limit: 2,
        edit_time_limit: 172_800,
        revoke_time_limit: i32::MAX,
        revoke_pm_time_limit: i32::MAX,
        rating_e_decay: 2_419_200,
        stickers_recent_limit: 200,
        channels_read_media_period: 604_800,
        tmp_sessions: None,
        call_receive_timeout_ms: 20_000,
        call_ring_timeout_ms: 90_000,
        call_connect_timeout_ms: 30_000,
        call_packet_timeout_ms: 10_000,
        me_url_prefix: "https://t.me/".to_owned(),
        autoupdate_url_prefix: None,
        gif_search_username: None,
        venue_search_username: None,
        img_search_username: None,
        static_maps_provider: None,
        caption_length_max: 1024,
        message_length_max: i32::from(MAX_TEXT),
        webfile_dc_id: this_dc,
        suggested_lang_code: None,
        lang_pack_version: None,
        base_lang_pack_version: None,
        reactions_default: None,
        autologin_token: None,
    }
}

pub(super) fn get_nearest_dc(
    context: &mut Context<'_>,
    _: f::help::GetNearestDc,
) -> Answer<enums::NearestDc> {
    let this_dc = context.dc.dc_id;
    Ok(enums::NearestDc::Dc(types::NearestDc { country: "XX".to_owned(), this_dc, nearest_dc: this_dc }))
}

/// An empty client configuration: every default holds.
pub(super) fn get_app_config(
    _: &mut Context<'_>,
    request: f::help::GetAppConfig,
) -> Answer<enums::help::AppConfig> {
    const HASH: i32 = 1;
    if request.hash == HASH {
        return Ok(enums::help::AppConfig::NotModified);
    }
    let config = enums::Jsonvalue::JsonObject(types::JsonObject { value: Vec::new() });
    Ok(enums::help::AppConfig::Config(types::help::AppConfig { hash: HASH, config }))
}
