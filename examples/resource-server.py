# An API that takes access tokens and API keys alike, by asking Latchkey (RFC 7662); needs Authlib, Flask and requests.
#   ISSUER=http://localhost:3000 CLIENT_ID=svc_… CLIENT_SECRET=lks_… flask --app examples/resource-server.py run
import os, requests
from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from flask import Flask

class Latchkey(IntrospectTokenValidator):
    def introspect_token(self, token):  # as the OAuth2 client that this API is
        me = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
        answer = requests.post(os.environ["ISSUER"] + "/oauth2/introspect", {"token": token}, auth=me, timeout=5)
        answer.raise_for_status()
        return None if "cnf" in answer.json() else answer.json()  # DPoP proofs are not checked here

app, protected = Flask(__name__), ResourceProtector()
protected.register_token_validator(Latchkey())
app.get("/reports")(protected("reports:read")(lambda: {"caller": current_token["sub"]}))
