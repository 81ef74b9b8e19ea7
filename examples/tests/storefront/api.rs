//! The shop over HTTP: the API's table of requests, and what is refused.

use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::Shop;
use super::client::Client;

#[tokio::test]
async fn each_request_answers_as_the_table_says() {
    let shop = Shop::open().await;
    let mut client = Client::of(&shop);
    let reply = client.get("/api/session").await;
    let untouched = json!({ "is_new": true, "visits": 0, "lines": {}, "user": null, "note": null });
    assert_eq!((reply.json(), reply.cookie()), (untouched.clone(), None));
    let timing = reply.headers["server-timing"].to_str().unwrap();
    assert!(
        timing.starts_with("load;desc=\"none\";dur=") && timing.contains("commit;desc=\"clean\""),
        "{timing}"
    );

    assert_eq!(client.post("/api/visit").await.json(), json!({ "visits": 1 }));
    assert_eq!(client.post("/api/visit?ms=1").await.json(), json!({ "visits": 2 }));
    assert_eq!(client.post("/api/note?text=a+b").await.json(), json!({ "note": "a b" }));
    for sum in [2, 4] {
        let reply = client.post_json("/api/lines", &json!({ "sku": "tea", "qty": 2 })).await;
        assert_eq!(reply.json(), json!({ "lines": { "tea": sum } }));
    }
    let reply = client
        .post_json("/api/lines", &json!({ "sku": "tea", "qty": u32::MAX }))
        .await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let before = client.cookie.clone();
    let reply = client.post_json("/api/login", &json!({ "user": 7 })).await;
    assert_eq!(reply.json(), json!({ "user": 7 }));
    assert_ne!(client.cookie, before, "a new secret");
    assert_eq!(client.post("/api/fail").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let all = json!({ "is_new": false, "visits": 2, "lines": { "tea": 4 }, "user": 7, "note": "a b" });
    assert_eq!(client.get("/api/session").await.json(), all);

    let notices = json!({ "notices": ["Added 2 of tea", "Added 2 of tea", "Welcome, customer 7"] });
    assert_eq!(client.get("/api/notices").await.json(), notices);
    assert_eq!(client.get("/api/notices").await.json(), json!({ "notices": [] }));

    let signed_in = client.cookie.clone();
    let reply = client.post("/api/logout").await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::NO_CONTENT, ""));
    assert!(reply.cookie().unwrap().contains("Max-Age=0"));
    client.cookie = signed_in;
    assert_eq!(client.get("/api/session").await.json(), untouched);
}

#[tokio::test]
async fn the_cookie_outlives_the_browser_only_where_it_is_asked_to() {
    let shop = Shop::open().await;
    let mut client = Client::of(&shop);
    let reply = client
        .post_json("/api/login", &json!({ "user": 7, "remember": true }))
        .await;
    assert!(reply.cookie().unwrap().contains("Max-Age="));
    for body in [json!({ "user": 7 }), json!({ "user": 7, "remember": false })] {
        let reply = client.post_json("/api/login", &body).await;
        let cookie = reply.cookie().unwrap();
        assert!(!cookie.contains("Max-Age") && !cookie.contains("Expires"), "{cookie}");
    }
}

#[tokio::test]
async fn requests_at_once_all_count() {
    let shop = Shop::open().await;
    let mut client = Client::of(&shop);
    client.post("/api/visit").await;
    let request = |path: &str| client.request(Method::POST, path).send();
    let (visit, note) = (request("/api/visit?ms=200"), request("/api/note?text=ours&ms=200"));
    let tea = client
        .request(Method::POST, "/api/lines")
        .json(&json!({ "sku": "tea", "qty": 1 }));
    let (visit, note, tea) = tokio::join!(visit, note, tea.send());
    for reply in [visit, note, tea] {
        assert_eq!(reply.unwrap().status(), StatusCode::OK);
    }
    let seen = client.get("/api/session").await.json();
    assert_eq!(
        (&seen["visits"], &seen["note"], &seen["lines"]["tea"]),
        (&json!(2), &json!("ours"), &json!(1))
    );
}

#[tokio::test]
async fn what_a_form_can_send_is_refused_by_the_api() {
    let shop = Shop::open().await;
    let mut client = Client::of(&shop);
    client.post("/api/visit").await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ] {
        for path in ["/api/visit", "/api/login", "/api/logout"] {
            for body in ["", r#"{"user":7}"#] {
                let request = client.request(Method::POST, path).header(CONTENT_TYPE, kind).body(body);
                assert_eq!(
                    client.send(request).await.status,
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "{kind} {path}"
                );
            }
        }
    }
    let without_type = client.request(Method::POST, "/api/visit").body(r#"{"user":7}"#);
    assert_eq!(
        client.send(without_type).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    for site in ["cross-site", "same-site"] {
        let request = client
            .request(Method::POST, "/api/visit")
            .header("sec-fetch-site", site);
        assert_eq!(client.send(request).await.status, StatusCode::FORBIDDEN, "{site}");
    }
    assert_eq!(client.visits().await, 1);

    let json = client
        .request(Method::POST, "/api/login")
        .header(CONTENT_TYPE, "Application/JSON; charset=utf-8");
    assert_eq!(client.send(json.body(r#"{"user":7}"#)).await.status, StatusCode::OK);
    let own = client
        .request(Method::POST, "/api/visit")
        .header("sec-fetch-site", "same-origin");
    assert_eq!(client.send(own).await.status, StatusCode::OK);
    assert_eq!(client.visits().await, 2);
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_is_refused_with_a_page() {
    let shop = Shop::open().await;
    let (mut client, mut stranger) = (Client::of(&shop), Client::of(&shop));
    let foreign = stranger.get("/").await.token();
    let own = client.get("/").await.token();
    for fields in [String::new(), "csrf_token=".to_owned(), format!("csrf_token={foreign}")] {
        for path in [
            "/cart/add",
            "/cart/change",
            "/cart/remove",
            "/note",
            "/visit",
            "/fail",
            "/sign-in",
            "/sign-out",
            "/devices/end",
            "/devices/end-others",
            "/devices/end-all",
        ] {
            let reply = client.post_form(path, &fields).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
            assert!(reply.body.contains("This form is out of date") && reply.body.contains("<a href=\"/\">"));
        }
    }
    let json = client.post_json("/visit", &json!({ "csrf_token": own })).await;
    assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(client.visits().await, 0);

    let reply = client.post_form("/visit", &format!("csrf_token={own}")).await;
    assert_eq!(
        (reply.status, &reply.headers[LOCATION]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
    assert_eq!(client.visits().await, 1);
}

#[tokio::test]
async fn the_page_is_kept_nowhere_and_runs_nothing_foreign() {
    let shop = Shop::open().await;
    let mut client = Client::of(&shop);
    for path in ["/", "/devices", "/no-such-page"] {
        let reply = client.get(path).await;
        assert_eq!(reply.headers[CACHE_CONTROL], "no-store", "{path}");
        let policy = reply.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
    }
    // With its cookie, and nothing to be told: as well.
    assert_eq!(client.get("/").await.headers[CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn what_does_not_fit_into_the_session_is_told_with_a_page() {
    let shop = Shop::open().await;
    let mut client = Client::of(&shop);
    let token = client.get("/").await.token();
    let full = async |client: &mut Client<'_>| {
        for number in 0..200 {
            let sku = format!("{number:0>64}");
            let reply = client
                .post_form("/cart/add", &format!("csrf_token={token}&sku={sku}&qty=1"))
                .await;
            if reply.status != StatusCode::SEE_OTHER {
                return reply;
            }
        }
        panic!("it has no limit")
    };
    let reply = full(&mut client).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(reply.body.contains("That is too much"));
    assert!(client.get("/").await.body.contains("Your cart"));
}
