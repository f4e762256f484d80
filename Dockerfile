# One image for every Millrace process; the service that runs it names the file, see docker-compose.yml:
#   docker build -t millrace . && docker run -e REDIS_URL=redis://host:6379 millrace apps/scheduler/src/main.ts

# Only what decides on the dependencies, so that the next stage is built anew when they change and not with every edit.
FROM node:24-slim AS manifests
WORKDIR /app
COPY . .
RUN find . -type f ! -name package.json ! -name package-lock.json ! -name .npmrc -delete

FROM node:24-slim AS dependencies
WORKDIR /app
COPY --from=manifests /app ./
# Nothing that runs in production has an install script, so none needs to be trusted.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
# In a container the way in is the published port, so the processes listen on all of its addresses.
ENV NODE_ENV=production \
    MILLRACE_HOST=0.0.0.0 \
    MILLRACE_HOME=/data
WORKDIR /app
COPY --from=dependencies /app ./
COPY packages packages
COPY apps apps
# A volume that is mounted here takes over this owner, so that the process can write without being root.
RUN mkdir /data && chown node:node /data
USER node
# Node runs the TypeScript as it is; there is no build step and nothing to build.
ENTRYPOINT ["node"]
CMD ["apps/dispatcher/src/main.ts"]
