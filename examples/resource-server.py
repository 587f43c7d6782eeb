"""An API in Python that takes access tokens and API keys alike, by asking Latchkey (RFC 7662). Needs Authlib, Flask, requests."""
import os
import requests
from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from flask import Flask

class Latchkey(IntrospectTokenValidator):
    def introspect_token(self, token):
        client = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]  # the client this resource server is
        answer = requests.post(os.environ["ISSUER"] + "/oauth2/introspect", {"token": token}, auth=client, timeout=5)
        answer.raise_for_status()
        # Without tokens that are bound to a key (DPoP), whose proof this API does not check.
        return None if "cnf" in answer.json() else answer.json()

protected = ResourceProtector()
protected.register_token_validator(Latchkey())
app = Flask(__name__)

@app.get("/reports")
@protected("reports:read")
def reports():
    return {"caller": current_token["sub"], "scope": current_token["scope"]}

app.run(port=int(os.environ["PORT"]))
