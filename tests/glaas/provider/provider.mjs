// A real OpenID provider on loopback: `node provider.mjs FOLDER PEOPLE`, where FOLDER holds node_modules and PEOPLE is
// JSON, from what someone types as their login to their claims. Prints its issuer when it answers.
// https://github.com/panva/node-oidc-provider, certified by the OpenID Foundation.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, people] = process.argv.slice(2);
const known = JSON.parse(people);
const path = createRequire(pathToFileURL(`${folder}/`)).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(path));

const server = createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;
const redirects = ["http://127.0.0.1/login/sso/done", "https://testserver/login/sso/done"];
const client = { application_type: "native", redirect_uris: redirects, post_logout_redirect_uris: [
  "http://127.0.0.1/", "https://testserver/"] }; // a native client may come back to any port of loopback
const provider = new Provider(issuer, {
  clients: [
    { ...client, client_id: "glaas", client_secret: "not-for-the-command-line" },
    { ...client, client_id: "glaas-public", token_endpoint_auth_method: "none" },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups"], email: ["email", "email_verified"] },
  cookies: { keys: ["only for tests"] },
  findAccount: (_context, login) => known[login] && ({
    accountId: login,
    claims: () => ({ sub: login, ...known[login] }),
  }),
});
server.on("request", provider.callback());
console.log(issuer);
