use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(flash, merge = union)]
    notices: Vec<String>,
    #[session(flash, default = vec![String::new()])]
    warnings: Vec<String>,
    #[session(flash, lazy)]
    errors: Vec<String>,
}

fn main() {}
