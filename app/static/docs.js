// Swagger UI is dark if its root element has this class; it does not ask for the browser's setting by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Swagger UI looks for this component before it shows a list of files, and logs a warning if there is none.
const fileComponent = (system) => ({
  components: {
    JsonSchema_string_binary: (props) => system.React.createElement(props.getComponent("JsonSchema_string"), props),
  },
});

// Relative addresses work behind any path prefix.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [fileComponent],
});
